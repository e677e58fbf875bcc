package event

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/feddi/feddi/core/fault"
)

// Cursor is a place in the log: the transaction that wrote an event, then the
// position within. Events are read below the oldest running transaction only,
// so one that commits late is never skipped. The zero Cursor is the beginning.
type Cursor struct {
	XID      uint64
	Position int64
}

// Less reports whether c stands before d in the log.
func (c Cursor) Less(d Cursor) bool {
	return c.XID < d.XID || c.XID == d.XID && c.Position < d.Position
}

// cursorVersion opens every encoded cursor, so that its form may change.
const cursorVersion = 1

// String encodes c for a partner: opaque, URL-safe, with a check sum so that a
// mangled one is refused and not guessed at.
func (c Cursor) String() string {
	raw := make([]byte, 0, 21)
	raw = append(raw, cursorVersion)
	raw = binary.BigEndian.AppendUint64(raw, c.XID)
	raw = binary.BigEndian.AppendUint64(raw, uint64(c.Position))
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ParseCursor reads what String wrote; empty is the beginning. Anything else is
// CURSOR_INVALID.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	invalid := fault.Field(fault.CodeCursorInvalid, "after", "cursor", "this cursor was not issued here; leave it out to begin with the oldest event kept")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != 21 || raw[0] != cursorVersion || crc32.ChecksumIEEE(raw[:17]) != binary.BigEndian.Uint32(raw[17:]) {
		return Cursor{}, invalid
	}
	c := Cursor{XID: binary.BigEndian.Uint64(raw[1:9]), Position: int64(binary.BigEndian.Uint64(raw[9:17]))}
	if c.Position < 0 || c.XID > 1<<62 {
		return Cursor{}, invalid
	}
	return c, nil
}
