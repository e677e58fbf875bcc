package journal

import (
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// array is a column of a batch in the binary form in which Postgres receives an
// array of it. Its elements are appended to one piece of memory as they come;
// to encode slices of values afterwards, by reflection, costs three times as
// much as all else that is done about a batch. The zero array is empty, and
// one that was reset keeps its memory.
type array struct {
	raw   []byte // headerSize bytes for the header, then the elements
	n     int
	nulls bool
}

// headerSize is that of an array of one dimension: dimensions, flags, element
// type, length, lower bound. An empty one has no dimension, and the first three.
const (
	headerSize      = 20
	emptyHeaderSize = 12
)

// Element types, by their numbers in pg_type.
const (
	ofBytea  = pgtype.ByteaOID
	ofInt2   = pgtype.Int2OID
	ofInt4   = pgtype.Int4OID
	ofInt8   = pgtype.Int8OID
	ofText   = pgtype.TextOID
	ofTID    = pgtype.TIDOID
	ofTime   = pgtype.TimestamptzOID
	ofUUID   = pgtype.UUIDOID
	noLength = -1 // of a null
)

// types are their names in SQL.
var types = map[uint32]string{
	ofBytea: "bytea", ofInt2: "int2", ofInt4: "int4", ofInt8: "int8", ofText: "text", ofTID: "tid", ofTime: "timestamptz", ofUUID: "uuid",
}

func (a *array) reset() { a.raw, a.n, a.nulls = a.raw[:0], 0, false }

// encode finishes the array. It is valid until the array is changed.
func (a *array) encode(of uint32) []byte {
	a.begin()
	h := a.raw[:headerSize]
	binary.BigEndian.PutUint32(h[4:], 0)
	if a.nulls {
		h[7] = 1
	}
	binary.BigEndian.PutUint32(h[8:], of)
	if a.n == 0 {
		binary.BigEndian.PutUint32(h, 0)
		return h[:emptyHeaderSize]
	}
	binary.BigEndian.PutUint32(h, 1)
	binary.BigEndian.PutUint32(h[12:], uint32(a.n))
	binary.BigEndian.PutUint32(h[16:], 1)
	return a.raw
}

// only is its one element as a value of its own, nil for null.
func (a *array) only() []byte {
	if a.nulls {
		return nil
	}
	return a.raw[headerSize+4:]
}

func (a *array) begin() {
	if len(a.raw) == 0 {
		a.raw = append(a.raw, make([]byte, headerSize)...)
	}
}

// length begins an element of so many bytes.
func (a *array) length(n int) {
	a.begin()
	a.n++
	a.raw = binary.BigEndian.AppendUint32(a.raw, uint32(int32(n)))
}

func (a *array) null() {
	a.length(noLength)
	a.nulls = true
}

func (a *array) text(s string) {
	a.length(len(s))
	a.raw = append(a.raw, s...)
}

// word is a text that is null where it is empty.
func (a *array) word(s string) {
	if s == "" {
		a.null()
		return
	}
	a.text(s)
}

func (a *array) bytes(b []byte) {
	if b == nil {
		a.null()
		return
	}
	a.length(len(b))
	a.raw = append(a.raw, b...)
}

func (a *array) int2(v int16) {
	a.length(2)
	a.raw = binary.BigEndian.AppendUint16(a.raw, uint16(v))
}

func (a *array) int4(v int32) {
	a.length(4)
	a.raw = binary.BigEndian.AppendUint32(a.raw, uint32(v))
}

func (a *array) int8(v int64) {
	a.length(8)
	a.raw = binary.BigEndian.AppendUint64(a.raw, uint64(v))
}

// time is an instant, in microseconds.
func (a *array) time(t time.Time) { a.int8(t.UnixMicro() - epoch.UnixMicro()) }

func (a *array) maybeTime(t *time.Time) {
	if t == nil {
		a.null()
		return
	}
	a.time(*t)
}

func (a *array) uuid(u *[16]byte) {
	if u == nil {
		a.null()
		return
	}
	a.bytes(u[:])
}

func (a *array) place(p pgtype.TID) {
	a.length(6)
	a.raw = binary.BigEndian.AppendUint32(a.raw, p.BlockNumber)
	a.raw = binary.BigEndian.AppendUint16(a.raw, p.OffsetNumber)
}
