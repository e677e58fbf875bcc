// Package paging is how lists are cut into pages: a page ends at a mark, an
// opaque cursor carries the mark to the next call, and rows that come later
// stand before it, so that a list is stable while it is paged.
package paging

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/feddi/feddi/core/fault"
)

// Bounds of a page.
const (
	DefaultSize = 50
	MaxSize     = 200
)

// Mark is where a row stands in a list, latest first: by time, then by id.
type Mark struct {
	At time.Time
	ID string
}

// First is the mark before the first row of any list.
func First() Mark { return Mark{At: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} }

// After reports whether a row at m comes after one at end, in the next page.
func (m Mark) After(end Mark) bool {
	if m.At.Equal(end.At) {
		return m.ID < end.ID
	}
	return m.At.Before(end.At)
}

// Size is the page size for an asked limit: 50 for 0, at most 200.
func Size(limit int) int {
	if limit <= 0 {
		return DefaultSize
	}
	return min(limit, MaxSize)
}

// Seal makes the cursor of a page of list that ends at m.
func Seal(list string, m Mark) string {
	raw := list + "\n" + strconv.FormatInt(m.At.UnixMicro(), 36) + "\n" + m.ID
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(raw)))
	return base64.RawURLEncoding.EncodeToString(append(sum, raw...))
}

// Open reads what Seal made for the same list; an empty cursor is First.
// Errors: CURSOR_INVALID.
func Open(list, cursor string) (Mark, error) {
	if cursor == "" {
		return First(), nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < 5 {
		return Mark{}, invalid()
	}
	parts := strings.Split(string(raw[4:]), "\n")
	if len(parts) != 3 {
		return Mark{}, invalid()
	}
	micros, err := strconv.ParseInt(parts[1], 36, 64)
	m := Mark{At: time.UnixMicro(micros).UTC(), ID: parts[2]}
	if err != nil || Seal(list, m) != cursor {
		return Mark{}, invalid()
	}
	return m, nil
}

func invalid() error {
	return fault.Field(fault.CodeCursorInvalid, "cursor", "issued_here", "the cursor was not issued for this list; leave it out to begin with the first page")
}

// Cut takes the first size of rows, of which one more was read, and gives the
// cursor of the next page; empty where this is the last.
func Cut[T any](rows []T, size int, list string, mark func(T) Mark) (page []T, next string) {
	if len(rows) <= size {
		return rows, ""
	}
	page = rows[:size]
	return page, Seal(list, mark(page[size-1]))
}
