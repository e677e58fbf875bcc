package auth

import (
	"encoding/base64"
	"strings"

	"github.com/feddi/feddi/core/fault"
)

// cursorMark tells the cursors of the list of keys from those of other lists.
const cursorMark = "keys:"

// sealCursor makes an opaque cursor of the last key of a page.
func sealCursor(lastID string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorMark + lastID))
}

// openCursor reads what sealCursor made; empty is the first page. Errors:
// CURSOR_INVALID.
func openCursor(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	id, ok := strings.CutPrefix(string(raw), cursorMark)
	if err != nil || !ok || !strings.HasPrefix(id, "key_") {
		return "", fault.Field(fault.CodeCursorInvalid, "cursor", "issued_here",
			"the cursor was not issued for this list; leave it out to begin with the first page")
	}
	return id, nil
}
