// Package message writes and reads protobuf messages field by field, without the
// values of generated code in between. It is for the few messages that travel for
// every payment: there, making those values costs more than the plan. Tests hold
// what is written and read here to the generated code.
package message

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The wire types that the contract uses.
const (
	Varint = uint64(protowire.VarintType)
	Bytes  = uint64(protowire.BytesType)
)

func key(b []byte, number protowire.Number, wire protowire.Type) []byte {
	return protowire.AppendTag(b, number, wire)
}

// AppendText appends a string or bytes field; an empty one is absent.
func AppendText[T ~string | ~[]byte](b []byte, number protowire.Number, text T) []byte {
	if len(text) == 0 {
		return b
	}
	b = protowire.AppendVarint(key(b, number, protowire.BytesType), uint64(len(text)))
	return append(b, text...)
}

// AppendInt appends an int64 field; zero is absent.
func AppendInt(b []byte, number protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(key(b, number, protowire.VarintType), uint64(v))
}

// AppendBool appends a bool field; false is absent.
func AppendBool(b []byte, number protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return AppendInt(b, number, 1)
}

// AppendTime appends a google.protobuf.Timestamp; the zero time is absent.
func AppendTime(b []byte, number protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b, start := Open(b, number)
	b = AppendInt(b, 1, t.Unix())
	b = AppendInt(b, 2, int64(t.Nanosecond()))
	return Close(b, start)
}

// Open begins a message within a message; Close, given what Open returned, ends
// it. Between them its fields are appended.
func Open(b []byte, number protowire.Number) (_ []byte, start int) {
	b = append(key(b, number, protowire.BytesType), 0)
	return b, len(b)
}

// Close writes the length that Open left room for.
func Close(b []byte, start int) []byte {
	n := len(b) - start
	if n < 0x80 {
		b[start-1] = byte(n)
		return b
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	for range more {
		b = append(b, 0)
	}
	copy(b[start+more:], b[start:start+n])
	protowire.AppendVarint(b[:start-1], uint64(n))
	return b
}

// AppendItem appends one of a repeated string field, which may be empty.
func AppendItem(b []byte, number protowire.Number, text string) []byte {
	b = protowire.AppendVarint(key(b, number, protowire.BytesType), uint64(len(text)))
	return append(b, text...)
}
