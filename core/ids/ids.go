// Package ids makes the opaque ids of the system: a short type prefix and a
// time-ordered unique part (48 bits of milliseconds, 80 random bits, in
// lower-case Crockford base 32), so that new rows land at the end of an index.
package ids

import (
	"crypto/rand"
	"encoding/binary"
	"io"

	"github.com/feddi/feddi/core/clock"
)

// Prefixes of the ids a partner sees.
const (
	Partner      = "par"
	Merchant     = "mer"
	Brand        = "brd"
	Branch       = "brn"
	Terminal     = "trm"
	Key          = "key"
	Session      = "cs"
	Customer     = "cus"
	Credential   = "crd"
	Enrollment   = "enr"
	Claim        = "clm"
	Payment      = "pay"
	Topup        = "top"
	Grant        = "grt"
	Entry        = "ent"
	Offer        = "off"
	Application  = "apl"
	Budget       = "bud"
	Decision     = "dec"
	Trace        = "dt"
	Transaction  = "txn"
	Event        = "evt"
	Subscription = "whs"
	Delivery     = "whd"
	Request      = "req"
	Proposal     = "prp"
	Refund       = "ref"
	Void         = "vod"
	Dispute      = "dsp"
	Settlement   = "stl"
	Report       = "srp"
	Run          = "rec"
	Callback     = "pcb"

	Consent       = "cns"
	CustomerEvent = "cev"
	Merge         = "mrg"
	GDPR          = "gdr"
	Message       = "msg"
)

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// Source makes ids. Safe for concurrent use when Random is.
type Source struct {
	Clock  clock.Clock
	Random io.Reader
}

// New returns a Source on c with cryptographic randomness.
func New(c clock.Clock) *Source { return &Source{Clock: c, Random: rand.Reader} }

// Make returns a new id, for example Make("cs") = "cs_01k9z...". It never
// fails: crypto/rand does not return errors on supported systems.
func (s *Source) Make(prefix string) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(s.Clock.Now().UnixMilli())<<16)
	_, _ = io.ReadFull(s.Random, raw[6:])
	var buffer [40]byte
	out := append(append(buffer[:0], prefix...), '_')
	return string(encode(out, raw))
}

// encode appends the 26 base-32 digits of raw, most significant first.
func encode(out []byte, raw [16]byte) []byte {
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	var digits [26]byte
	for i := 25; i >= 0; i-- {
		digits[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return append(out, digits[:]...)
}
