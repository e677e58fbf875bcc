// Package providers reads the signed callbacks of payment providers: one file
// for each scheme. Which providers a server takes, and their secrets, is
// configuration; a further provider is a further Gateway.
package providers

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/fault"
)

// Tolerance is how old a signature may be, and how far ahead of our clock.
const Tolerance = 5 * time.Minute

// Secrets are the secrets that may have signed a callback about a top-up. Of
// several, each is tried: a new one and the old one during a rotation.
type Secrets func(topupID string) [][]byte

// Fixed are the secrets of a provider's account, newest first.
func Fixed(secrets ...string) Secrets {
	all := make([][]byte, 0, len(secrets))
	for _, s := range secrets {
		all = append(all, []byte(s))
	}
	return func(string) [][]byte { return all }
}

// SandboxPrefix and a top-up's id are the secret that signs its callbacks in
// the sandbox, so that a partner can play the provider.
const SandboxPrefix = "sandbox_whsec_"

// Sandbox are the secrets that a partner derives.
func Sandbox() Secrets {
	return func(topupID string) [][]byte { return [][]byte{[]byte(SandboxPrefix + topupID)} }
}

// Parse reads a list of secrets separated by commas, as configuration has it.
func Parse(list string) (secrets []string, err error) {
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); len(s) < 16 {
			return nil, errors.New("a provider's webhook secret has 16 characters at least; separate several by commas")
		}
		secrets = append(secrets, s)
	}
	return secrets, nil
}

// mac is HMAC-SHA256 of "timestamp.body".
func mac(secret []byte, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(timestamp))
	h.Write([]byte{'.'})
	h.Write(body)
	return h.Sum(nil)
}

// verify proves that one of the secrets made one of the signatures, not long
// before or after now. header is the one that a person must look at.
func verify(secrets [][]byte, timestamp string, body []byte, signatures [][]byte, now time.Time, header string) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return invalid(header, "signed", "the callback is not signed as this provider signs")
	}
	good := false
	for _, secret := range secrets {
		want := mac(secret, timestamp, body)
		for _, got := range signatures {
			good = hmac.Equal(want, got) || good
		}
	}
	if !good {
		return invalid(header, "signature", "the signature does not fit the body; check the secret, and that the body is sent on as it came")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > Tolerance || age < -Tolerance {
		return invalid(header, "timestamp", "the signature is %s old, %s is the limit; sign again, and check the clocks", age.Truncate(time.Second), Tolerance)
	}
	return nil
}

func invalid(header, rule, format string, args ...any) error {
	return fault.Field(fault.CodeSignatureInvalid, header, rule, format, args...)
}

// judged is a notice that was parsed before its signature was proven: what was
// wrong with it is told to those only who can sign.
func judged(n topup.Notice, parsed, proven error) (topup.Notice, error) {
	if proven != nil {
		return topup.Notice{}, proven
	}
	if parsed != nil {
		return topup.Notice{}, fault.Field(fault.CodeValidationFailed, "payload", "understood", "the callback is signed, but not understood: %s", parsed)
	}
	return n, nil
}
