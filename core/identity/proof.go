package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

const (
	verificationDigits = "0123456789"
	verificationLength = 6
)

// Proofs makes and checks what proves a phone: the code that is keyed in, and
// the signed token of the link. Neither is stored: of the code the database
// keeps a keyed hash, of the token nothing.
type Proofs struct {
	// Key signs; 32 random bytes that survive restarts and that the database
	// never sees. Changing it ends the codes and links that are out.
	Key []byte
}

// Proof is one message's worth: what the guest receives.
type Proof struct {
	Code  string // 6 digits
	Token string
}

// ErrToken says that a verification token was not signed here, or not for this
// merchant.
var ErrToken = errors.New("identity: not a verification token of this merchant")

// New draws the proof of e's current issue (Enrollment.Issue and ExpiresAt are
// set already) and returns it with the hash of its code.
func (p Proofs) New(random io.Reader, e Enrollment) (Proof, []byte, error) {
	code, err := NewDigits(random)
	if err != nil {
		return Proof{}, nil, err
	}
	return Proof{Code: code, Token: p.Token(e)}, p.HashCode(e, code), nil
}

// NewDigits draws a one-time code of 6 digits, for a phone.
func NewDigits(random io.Reader) (string, error) {
	return draw(random, verificationDigits, verificationLength)
}

// HashCode is the keyed hash of a code of e's current issue.
func (p Proofs) HashCode(e Enrollment, code string) []byte {
	return p.mac("enrollment code v1", e.Tenant, e.ID+"."+strconv.Itoa(e.Issue)+"."+strings.TrimSpace(code))
}

// Token is the signed token of e's current issue, safe in a URL.
func (p Proofs) Token(e Enrollment) string {
	payload := e.ID + "." + strconv.Itoa(e.Issue) + "." + strconv.FormatInt(e.ExpiresAt.Unix(), 10)
	return payload + "." + base64.RawURLEncoding.EncodeToString(p.mac("enrollment token v1", e.Tenant, payload))
}

// Ticket is what a token says.
type Ticket struct {
	EnrollmentID string
	Issue        int
	ExpiresAt    time.Time // whole seconds
}

// Open reads a token signed for tenant t. Whether its issue is the current one
// is for Enrollment.Redeem to say. Errors: ErrToken.
func (p Proofs) Open(t tenancy.Tenant, token string) (Ticket, error) {
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 || strings.ContainsAny(token, "\r\n") { // which the decoder would pass over
		return Ticket{}, ErrToken
	}
	payload := token[:cut]
	signature, err := base64.RawURLEncoding.Strict().DecodeString(token[cut+1:])
	if err != nil || !hmac.Equal(signature, p.mac("enrollment token v1", t, payload)) {
		return Ticket{}, ErrToken
	}
	parts := strings.Split(payload, ".")
	if len(parts) != 3 {
		return Ticket{}, ErrToken
	}
	issue, errIssue := strconv.Atoi(parts[1])
	expires, errExpires := strconv.ParseInt(parts[2], 10, 64)
	if errIssue != nil || errExpires != nil {
		return Ticket{}, ErrToken
	}
	return Ticket{EnrollmentID: parts[0], Issue: issue, ExpiresAt: time.Unix(expires, 0).UTC()}, nil
}

// mac is HMAC-SHA256 of text under the key, for one purpose and one tenant.
func (p Proofs) mac(purpose string, t tenancy.Tenant, text string) []byte {
	h := hmac.New(sha256.New, p.Key)
	var no [4]byte
	binary.BigEndian.PutUint32(no[:], uint32(t.No))
	for _, part := range []string{purpose, "\x00", string(no[:]), text} {
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
