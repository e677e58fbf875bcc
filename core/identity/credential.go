package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/feddi/feddi/core/fault"
)

// CredentialType tells the branches of the credential union apart.
type CredentialType string

// The credential types of the point-of-sale surface.
const (
	Phone              CredentialType = "phone"
	CardFingerprint    CredentialType = "card_fingerprint"
	ShortCode          CredentialType = "short_code"
	ProviderCustomerID CredentialType = "provider_customer_id"
	QR                 CredentialType = "qr"
)

// The credential types of the card and gift worlds; they link, and never
// identify at a till.
const (
	Card              CredentialType = "card"
	ClientRecipientID CredentialType = "client_recipient_id"
)

// CredentialTypes lists those of the point-of-sale surface; a merchant enables
// some or all of them.
func CredentialTypes() []CredentialType {
	return []CredentialType{Phone, CardFingerprint, ShortCode, ProviderCustomerID, QR}
}

// Credential is a value that identifies or pays.
type Credential struct {
	Type  CredentialType
	Value string
}

// maxLinkedValue is the longest card fingerprint or provider's customer id, in bytes.
const maxLinkedValue = 128

// Enabled gives nil where the credential's type is one of enabled; none listed
// means all. Errors: UNSUPPORTED_CREDENTIAL_TYPE (rule 20).
func (c Credential) Enabled(enabled []string) error {
	known := false
	for _, t := range CredentialTypes() {
		known = known || t == c.Type
	}
	allowed := len(enabled) == 0
	for _, t := range enabled {
		allowed = allowed || t == string(c.Type)
	}
	if known && allowed {
		return nil
	}
	return fault.Field(fault.CodeUnsupportedCredentialType, "credential.credential_type", "enabled",
		"this credential_type is not enabled for this merchant; GET /capabilities lists supported_credential_types")
}

// Validate checks the form of a value whose type stores it: a card fingerprint
// or a provider's customer id of at most 128 bytes. What looks like a card
// number is refused, so that none is ever kept by mistake.
// Errors: VALIDATION_FAILED.
func (c Credential) Validate() error {
	if c.Type != CardFingerprint && c.Type != ProviderCustomerID {
		return nil
	}
	switch {
	case strings.TrimSpace(c.Value) == "" || len(c.Value) > maxLinkedValue:
		return fault.Field(fault.CodeValidationFailed, "credential.value", "length", "give a value of 1 to %d bytes", maxLinkedValue)
	case c.Type == CardFingerprint && cardNumber(c.Value):
		return fault.Field(fault.CodeValidationFailed, "credential.value", "no_card_number",
			"this looks like a card number, which must never be sent; send the terminal's hash of the masked number")
	}
	return nil
}

// Stored is what the database keeps of the value: the SHA-256 of a card
// fingerprint, any other value as it is.
func (c Credential) Stored() string {
	if c.Type != CardFingerprint {
		return c.Value
	}
	sum := sha256.Sum256([]byte(c.Value))
	return hex.EncodeToString(sum[:])
}

// Masked is the value with its middle hidden. Of a card fingerprint only the
// last four characters of its hash show: enough to tell two apart.
func (c Credential) Masked() string {
	switch c.Type {
	case Phone:
		return MaskPhone(c.Value)
	case CardFingerprint:
		stored := c.Stored()
		return "****" + stored[len(stored)-4:]
	}
	return maskMiddle(c.Value)
}

// MaskPhone hides all of an E.164 number but its country code and the last two
// digits.
func MaskPhone(phone string) string {
	shown := 1 + countryCode(strings.TrimPrefix(phone, "+"))
	if len(phone) < shown+4 {
		return strings.Repeat("*", len(phone))
	}
	return phone[:shown] + strings.Repeat("*", len(phone)-shown-2) + phone[len(phone)-2:]
}

// countryCode is how many of the digits are the country code, by ITU-T E.164:
// 1 and 7 stand alone, these have two digits, all others three.
func countryCode(digits string) int {
	const pairs = " 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 "
	switch {
	case len(digits) < 2:
		return 0
	case digits[0] == '1' || digits[0] == '7':
		return 1
	case strings.Contains(pairs, " "+digits[:2]+" "):
		return 2
	}
	return 3
}

// maskMiddle shows two characters at either end, of values long enough to.
func maskMiddle(value string) string {
	runes := []rune(value)
	if len(runes) < 8 {
		return strings.Repeat("*", len(runes))
	}
	return string(runes[:2]) + strings.Repeat("*", len(runes)-4) + string(runes[len(runes)-2:])
}

// cardNumber reports whether s is 12 to 19 digits, blanks and dashes aside,
// with a right check digit (Luhn).
func cardNumber(s string) bool {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(s)
	if len(digits) < 12 || len(digits) > 19 {
		return false
	}
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i]) - '0'
		if d < 0 || d > 9 {
			return false
		}
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
