package event

import (
	"encoding/json"
	"strconv"
	"time"
)

// Object writes the data of an event member by member: events of payments are
// written by the thousand, where reflection would cost more than the rest of the
// plan. Names are written as they are; they need no escape.
type Object struct{ buf []byte }

// NewObject begins an object with room for size bytes.
func NewObject(size int) *Object { return &Object{buf: append(make([]byte, 0, size), '{')} }

// Close ends the object.
func (o *Object) Close() json.RawMessage { return append(o.buf, '}') }

func (o *Object) key(name string) {
	if o.buf[len(o.buf)-1] != '{' {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, '"', ':')
}

// Text writes a string.
func (o *Object) Text(name, value string) {
	o.key(name)
	o.buf = appendString(o.buf, value)
}

// Optional writes a string, or null where value is empty.
func (o *Object) Optional(name, value string) {
	if value == "" {
		o.key(name)
		o.buf = append(o.buf, "null"...)
		return
	}
	o.Text(name, value)
}

// Number writes a whole number.
func (o *Object) Number(name string, value int64) {
	o.key(name)
	o.buf = strconv.AppendInt(o.buf, value, 10)
}

// Bool writes true or false.
func (o *Object) Bool(name string, value bool) {
	o.key(name)
	o.buf = strconv.AppendBool(o.buf, value)
}

// Instant writes a time in UTC, or null for nil.
func (o *Object) Instant(name string, at *time.Time) {
	o.key(name)
	if at == nil {
		o.buf = append(o.buf, "null"...)
		return
	}
	o.buf = append(o.buf, '"')
	o.buf = at.UTC().AppendFormat(o.buf, time.RFC3339Nano)
	o.buf = append(o.buf, '"')
}

// List writes n objects, each of which element writes.
func (o *Object) List(name string, n int, element func(o *Object, i int)) {
	o.key(name)
	o.buf = append(o.buf, '[')
	for i := range n {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		part := Object{buf: append(o.buf, '{')}
		element(&part, i)
		o.buf = append(part.buf, '}')
	}
	o.buf = append(o.buf, ']')
}

// appendString appends s as a JSON string. Ids and codes need no escape; what
// does goes through encoding/json.
func appendString(buf []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always marshals
				return append(buf, `""`...)
			}
			return append(buf, quoted...)
		}
	}
	buf = append(buf, '"')
	buf = append(buf, s...)
	return append(buf, '"')
}
