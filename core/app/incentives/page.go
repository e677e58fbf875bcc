package incentives

import (
	"encoding/base64"
	"hash/crc32"
	"strings"

	"github.com/feddi/feddi/core/fault"
)

const (
	defaultPage = 50
	maxPage     = 200
)

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}

// sealCursor makes an opaque cursor of where a page of list ended.
func sealCursor(list, at string) string {
	raw := list + ":" + at
	sum := crc32.ChecksumIEEE([]byte(raw))
	return base64.RawURLEncoding.EncodeToString(append([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}, raw...))
}

// openCursor reads what sealCursor made for the same list; empty is the first
// page. Errors: CURSOR_INVALID.
func openCursor(list, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil && len(raw) > 4 {
		at, ok := strings.CutPrefix(string(raw[4:]), list+":")
		if ok && sealCursor(list, at) == cursor {
			return at, nil
		}
	}
	return "", cursorInvalid()
}

func cursorInvalid() error {
	return fault.Field(fault.CodeCursorInvalid, "cursor", "issued_here", "the cursor was not issued for this list; leave it out to begin with the first page")
}
