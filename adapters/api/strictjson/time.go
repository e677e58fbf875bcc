package strictjson

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// timestamp reads RFC 3339.
func (d *decoder) timestamp(into func() protoreflect.Message) bool {
	if !d.at('"') {
		d.wrong("type", "must be a time as a string, for example 2026-06-01T12:00:00Z")
		return d.value()
	}
	text, ok := d.text()
	if !ok {
		return false
	}
	t, ok := ParseTime(text)
	if !ok {
		d.wrong("timestamp", "must be a time by RFC 3339, for example 2026-06-01T12:00:00Z")
		return true
	}
	m := into()
	if typed, ok := m.Interface().(*timestamppb.Timestamp); ok {
		typed.Seconds, typed.Nanos = t.Unix(), int32(t.Nanosecond())
		return true
	}
	fields := m.Descriptor().Fields()
	m.Set(fields.ByNumber(1), protoreflect.ValueOfInt64(t.Unix()))
	m.Set(fields.ByNumber(2), protoreflect.ValueOfInt32(int32(t.Nanosecond())))
	return true
}

// ParseTime reads a time by RFC 3339 that a Timestamp can hold: the years 1 to
// 9999, at most nine decimals.
func ParseTime(text []byte) (t time.Time, ok bool) {
	if err := t.UnmarshalText(text); err != nil || bytes.IndexByte(text, ',') >= 0 || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		return t, false
	}
	decimals := 0
	if point := bytes.IndexByte(text, '.'); point >= 0 {
		for decimals = 0; isDigit(text[point+1+decimals]); decimals++ {
		}
	}
	return t, decimals <= 9
}
