package rest

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/fault"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// queryOf is a route whose query fills every field of m's type.
func queryOf(m proto.Message) *route {
	r := &route{query: map[string]protoreflect.FieldDescriptor{}}
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		r.query[string(fields.Get(i).Name())] = fields.Get(i)
	}
	return r
}

func TestQueryFillsTheRequest(t *testing.T) {
	t.Parallel()
	got := &partnerv1.ListTransactionsRequest{}
	raw := "limit=50&cursor=a%2Bb+c&include_unidentified=true&created_after=2026-06-01T00%3A00%3A00Z"
	if err := queryOf(got).fromQuery(raw, got.ProtoReflect()); err != nil {
		t.Fatal(err)
	}
	if got.GetLimit() != 50 || got.GetCursor() != "a+b c" || !got.GetIncludeUnidentified() ||
		!proto.Equal(got.GetCreatedAfter(), timestamppb.New(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))) {
		t.Errorf("%v", got)
	}
}

func TestEveryMistakeInAQueryIsNamed(t *testing.T) {
	t.Parallel()
	req := &partnerv1.ListTransactionsRequest{}
	err := queryOf(req).fromQuery("limit=+5&include_unidentified=1&created_after=today&colour=x&includeUnidentified=true&cursor=a&cursor=b&&limit", req.ProtoReflect())
	var e *fault.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v", err)
	}
	got := ""
	for _, d := range e.Details {
		got += d.Field + ":" + d.Rule + " "
	}
	want := "limit:integer include_unidentified:type created_after:timestamp colour:unknown_member includeUnidentified:unknown_member cursor:unique_member limit:unique_member "
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if e.Details[4].Message != "there is no query member of this name; it is written include_unidentified" {
		t.Errorf("%q", e.Details[4].Message)
	}
}
