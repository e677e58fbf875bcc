package journal

import (
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// What an array encodes is what Postgres reads, also where it is empty, holds
// nulls, or was used for another batch before.
func TestArraysArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	at := time.Date(2026, 11, 28, 12, 30, 0, 123456000, time.UTC)
	id := [16]byte{1, 2, 15: 16}
	word, blank := "word", ""
	var a array
	for name, c := range map[string]struct {
		of    uint32
		add   func()
		want  any
		empty any
	}{
		"text":        {ofText, func() { a.text("ä, \"b\""); a.text(blank); a.word(word); a.word(blank) }, []*string{ptr("ä, \"b\""), &blank, &word, nil}, []*string{}},
		"bytea":       {ofBytea, func() { a.bytes([]byte{0, 255}); a.bytes(nil); a.bytes([]byte{}) }, [][]byte{{0, 255}, nil, {}}, [][]byte{}},
		"int2":        {ofInt2, func() { a.int2(-2); a.int2(1<<15 - 1) }, []int16{-2, 1<<15 - 1}, []int16{}},
		"int4":        {ofInt4, func() { a.int4(-1 << 31); a.int4(7) }, []int32{-1 << 31, 7}, []int32{}},
		"int8":        {ofInt8, func() { a.int8(-1 << 63); a.int8(1<<63 - 1) }, []int64{-1 << 63, 1<<63 - 1}, []int64{}},
		"timestamptz": {ofTime, func() { a.time(at); a.maybeTime(nil); a.maybeTime(&at) }, []*time.Time{&at, nil, &at}, []*time.Time{}},
		"uuid":        {ofUUID, func() { a.uuid(&id); a.uuid(nil) }, []*[16]byte{&id, nil}, []*[16]byte{}},
		"tid":         {ofTID, func() { a.place(pgtype.TID{BlockNumber: 1 << 20, OffsetNumber: 9, Valid: true}) }, []pgtype.TID{{BlockNumber: 1 << 20, OffsetNumber: 9, Valid: true}}, []pgtype.TID{}},
	} {
		for round, want := range []any{c.want, c.empty, c.want} {
			a.reset()
			if round != 1 {
				c.add()
			}
			if got := echo(t, db, c.of, a.encode(c.of), reflect.TypeOf(want)); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, round %d: got %v, want %v", name, round, got, want)
			}
		}
	}
}

func ptr(s string) *string { return &s }

// echo is the array as Postgres has read it.
func echo(t *testing.T, db *pg.DB, of uint32, encoded []byte, as reflect.Type) any {
	t.Helper()
	c, err := db.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	r := c.Conn().PgConn().ExecParams(t.Context(), "SELECT $1::"+types[of]+"[]", [][]byte{encoded}, nil, []int16{1}, []int16{1}).Read()
	if r.Err != nil {
		t.Fatalf("%s: %v", types[of], r.Err)
	}
	dest := reflect.New(as)
	arrayType, _ := c.Conn().TypeMap().TypeForName("_" + types[of])
	if err := c.Conn().TypeMap().Scan(arrayType.OID, 1, r.Rows[0][0], dest.Interface()); err != nil {
		t.Fatalf("%s: %v", types[of], err)
	}
	if times, ok := dest.Interface().(*[]*time.Time); ok {
		for i, at := range *times {
			if at != nil {
				utc := at.UTC()
				(*times)[i] = &utc
			}
		}
	}
	return dest.Elem().Interface()
}
