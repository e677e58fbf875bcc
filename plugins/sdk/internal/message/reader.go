package message

import (
	"errors"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is a message that is none, or whose texts are not UTF-8.
var ErrMalformed = errors.New("the message is not valid protobuf")

// Reader reads the fields of one message, in their order:
//
//	for r := message.Read(raw); r.Next(); {
//		switch r.Key {
//		case 1<<3 | message.Bytes:
//			name = r.Text()
//		}
//	}
//	err := r.Err
//
// A field that is known by another wire type has another key, and so is one of
// the unknown, as protobuf wants it.
type Reader struct {
	Key uint64 // of the field at hand: number<<3 | wire type
	Err error  // why there is no next one; nil at the end of the message

	raw   []byte // the message
	text  string // the same, for texts to be parts of; made when it is needed
	at    int    // where the next field begins
	value uint64 // of a varint
	from  int    // where a bytes field begins; it ends at at
	share bool   // text is made
}

// Read begins to read a message. What Bytes returns are parts of raw; texts are
// parts of one copy of it.
func Read(raw []byte) Reader { return Reader{raw: raw} }

// Next goes to the next field; false where there is none, or none that is valid.
func (r *Reader) Next() bool {
	for r.Err == nil && r.at < len(r.raw) {
		number, wire, n := protowire.ConsumeTag(r.raw[r.at:])
		if n < 0 {
			return r.fail()
		}
		r.at += n
		r.Key = uint64(number)<<3 | uint64(wire)
		switch wire {
		case protowire.VarintType:
			if r.value, n = protowire.ConsumeVarint(r.raw[r.at:]); n < 0 {
				return r.fail()
			}
			r.at += n
			return true
		case protowire.BytesType:
			length, n := protowire.ConsumeVarint(r.raw[r.at:])
			if n < 0 || length > uint64(len(r.raw)-r.at-n) {
				return r.fail()
			}
			r.from = r.at + n
			r.at = r.from + int(length)
			return true
		default: // the contract has none
			if n = protowire.ConsumeFieldValue(number, wire, r.raw[r.at:]); n < 0 {
				return r.fail()
			}
			r.at += n
		}
	}
	return false
}

func (r *Reader) fail() bool {
	r.Err = ErrMalformed
	return false
}

// Int is an int64 field.
func (r *Reader) Int() int64 { return int64(r.value) }

// Bool is a bool field.
func (r *Reader) Bool() bool { return r.value != 0 }

// Bytes is a bytes field: a part of the message, with no room to grow into the
// next field; nil where it is empty.
func (r *Reader) Bytes() []byte {
	if r.from == r.at {
		return nil
	}
	return r.raw[r.from:r.at:r.at]
}

// Text is a string field. One that is not UTF-8 makes the message malformed.
func (r *Reader) Text() string {
	if !utf8.Valid(r.raw[r.from:r.at]) {
		r.fail()
		return ""
	}
	if !r.share {
		r.text, r.share = string(r.raw), true
	}
	return r.text[r.from:r.at]
}

// Message begins to read the message that the field holds. Its texts are parts
// of the same copy.
func (r *Reader) Message() Reader {
	if !r.share {
		r.text, r.share = string(r.raw), true
	}
	return Reader{raw: r.raw[:r.at:r.at], text: r.text, share: true, at: r.from}
}

// Within takes over what went wrong in a message of this one.
func (r *Reader) Within(inner *Reader) {
	if inner.Err != nil {
		r.Err = inner.Err
	}
}

// Time is a google.protobuf.Timestamp field.
func (r *Reader) Time() time.Time {
	var seconds, nanos int64
	in := Reader{raw: r.raw[:r.at:r.at], at: r.from}
	for in.Next() {
		switch in.Key {
		case 1<<3 | Varint:
			seconds = in.Int()
		case 2<<3 | Varint:
			nanos = int64(int32(in.value)) //nolint:gosec // an int32 field is read so
		}
	}
	r.Within(&in)
	return time.Unix(seconds, nanos).UTC()
}

// Count is how many fields of a key the rest of the message has.
func (r *Reader) Count(key uint64) (n int) {
	rest := *r
	for rest.Next() {
		if rest.Key == key {
			n++
		}
	}
	return n
}
