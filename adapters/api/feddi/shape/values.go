package shape

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Moment is a timestamp of a request; nil where it was not given.
func Moment(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

// Stamp is a timestamp of an answer; nil where there is none.
func Stamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// Optional is nil for an empty text, so that it shows as null.
func Optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Struct reads a JSON object that the core made.
func Struct(raw json.RawMessage) (*structpb.Struct, error) {
	if len(raw) == 0 {
		return &structpb.Struct{Fields: map[string]*structpb.Value{}}, nil
	}
	s := &structpb.Struct{}
	if err := s.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("stored JSON is not an object: %w", err)
	}
	return s, nil
}
