package strictjson

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// timestamp reads RFC 3339 and writes it as the field of that number.
func (d *decoder) timestamp(number protoreflect.FieldNumber) bool {
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
	begin := d.open(number)
	d.out = protowire.AppendVarint(protowire.AppendTag(d.out, timestampSeconds, protowire.VarintType), uint64(t.Unix()))
	d.out = protowire.AppendVarint(protowire.AppendTag(d.out, timestampNanos, protowire.VarintType), uint64(t.Nanosecond()))
	d.close(begin)
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
