package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Life of a payment code where the merchant set nothing, and the bounds of
// that setting.
const (
	DefaultCodeTTL = 10 * time.Minute
	minCodeTTL     = time.Minute
	maxCodeTTL     = 15 * time.Minute
)

// CodeTTL is the life of a code under the merchant's setting in minutes: 1 to
// 15, and 10 where none is set.
func CodeTTL(minutes int) time.Duration {
	if minutes == 0 {
		return DefaultCodeTTL
	}
	return min(max(time.Duration(minutes)*time.Minute, minCodeTTL), maxCodeTTL)
}

const (
	// shortAlphabet has no 0, O, 1, I or L: 31 symbols, 28.6 million codes.
	shortAlphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
	// ShortCodeLength is the length of a short code (rule 6).
	ShortCodeLength = 5

	// qrPrefix tells a nonce of this kind, version 1, from any other QR.
	qrPrefix = "Q1-"
)

// qrEncoding writes 128 bits as 26 capitals and digits: with the prefix just
// what a QR of version 2 holds at quality Q in its compact alphanumeric mode.
var qrEncoding = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// NewCode draws a value of type QR (128 random bits) or ShortCode.
func NewCode(random io.Reader, t CredentialType) (string, error) {
	if t == QR {
		var nonce [16]byte
		_, err := io.ReadFull(random, nonce[:])
		return qrPrefix + qrEncoding.EncodeToString(nonce[:]), err
	}
	if t != ShortCode {
		return "", fmt.Errorf("identity: %s is no code", t)
	}
	return draw(random, shortAlphabet, ShortCodeLength)
}

// draw picks n symbols of alphabet, each equally likely.
func draw(random io.Reader, alphabet string, n int) (string, error) {
	out := make([]byte, n)
	size := big.NewInt(int64(len(alphabet)))
	for i := range out {
		k, err := rand.Int(random, size)
		if err != nil {
			return "", err
		}
		out[i] = alphabet[k.Int64()]
	}
	return string(out), nil
}

// HashCode is what the database keeps of a code: the SHA-256 of a qr nonce,
// and of a short code together with the tenant, which is its salt. Short codes
// are read out and keyed in: case and surrounding blanks do not count.
func HashCode(t tenancy.Tenant, c Credential) []byte {
	if c.Type != ShortCode {
		sum := sha256.Sum256([]byte(c.Value))
		return sum[:]
	}
	h := sha256.New()
	var no [4]byte
	binary.BigEndian.PutUint32(no[:], uint32(t.No))
	h.Write(no[:])
	h.Write([]byte(strings.ToUpper(strings.TrimSpace(c.Value))))
	return h.Sum(nil)
}
