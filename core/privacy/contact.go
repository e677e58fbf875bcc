package privacy

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
)

// contact finds an international phone number, or an e-mail address.
var contact = regexp.MustCompile(`\+[0-9][0-9 ().-]{6,}[0-9]|[^\s"@]+@[^\s"@]+\.[A-Za-z]{2,}`)

// HoldsContact reports whether text holds what looks like an international
// phone number or an e-mail address. What is kept where no erasure reaches it
// (in a sale, in a trace, where nothing says whose it is) is refused with one.
func HoldsContact(text []byte) bool { return contact.Match(text) }

// Opaque is reference as it may be kept where nothing says whose it is: itself,
// or the SHA-256 of one that holds a contact, which tells equal ones apart still.
func Opaque(reference string) string {
	if !HoldsContact([]byte(reference)) {
		return reference
	}
	sum := sha256.Sum256([]byte(reference))
	return "sha256:" + hex.EncodeToString(sum[:])
}
