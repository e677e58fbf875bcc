package pipeline

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/feddi/feddi/core/idempotency"
)

// seal encrypts the stored answer of an operation whose response holds a
// secret. The key is derived from the server's key, which the database never
// sees, and the caller's Idempotency-Key, so that no two answers share one.
func (x *Exchange) seal(o idempotency.Outcome) (idempotency.Outcome, error) {
	if !x.Handler.Op.Options.GetSecretResponse() {
		return o, nil
	}
	aead, err := x.pipeline.sealer(x.Call.Pin.Scope)
	if err != nil {
		return o, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(o.Body)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails, by its documentation
	o.Body = aead.Seal(nonce, nonce, o.Body, bound(x.Call.Pin.Scope, o.Status))
	return o, nil
}

// unseal returns the body of a stored answer in the clear.
func (x *Exchange) unseal(r idempotency.Record) ([]byte, error) {
	if !x.Handler.Op.Options.GetSecretResponse() {
		return r.Outcome.Body, nil
	}
	aead, err := x.pipeline.sealer(x.Call.Pin.Scope)
	if err != nil {
		return nil, err
	}
	if len(r.Outcome.Body) < aead.NonceSize() {
		return nil, errors.New("a sealed answer is too short")
	}
	nonce, box := r.Outcome.Body[:aead.NonceSize()], r.Outcome.Body[aead.NonceSize():]
	body, err := aead.Open(nil, nonce, box, bound(x.Call.Pin.Scope, r.Outcome.Status))
	if err != nil {
		return nil, fmt.Errorf("a sealed answer of %s cannot be opened; was the server key changed? %w", r.Operation, err)
	}
	return body, nil
}

func (p *Pipeline) sealer(scope idempotency.Scope) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, p.ServerKey, []byte(scope.Key), "feddi stored answer v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// bound is what a sealed answer is tied to: moved to another record, it does
// not open.
func bound(s idempotency.Scope, status int) []byte {
	return fmt.Appendf(nil, "%q %q %q %q %d", s.PartnerID, s.Mode, s.Operation, s.Key, status)
}
