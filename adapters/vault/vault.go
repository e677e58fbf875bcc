// Package vault seals small secrets at rest, such as webhook signing secrets,
// so that a stolen table or backup shows none.
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrOpen says that a sealed value was changed, or sealed with another key.
var ErrOpen = errors.New("vault: the value cannot be opened: it was changed, or sealed with another server key")

// Vault seals with AES-256-GCM. Safe for concurrent use.
type Vault struct{ aead cipher.AEAD }

// New returns a vault on a key derived from the server's key (32 bytes or
// more) for one purpose, so that a value sealed for one is useless for another.
func New(serverKey []byte, purpose string) (*Vault, error) {
	if len(serverKey) < 32 {
		return nil, fmt.Errorf("vault: the server key has %d bytes, 32 are needed", len(serverKey))
	}
	key, err := hkdf.Key(sha256.New, serverKey, nil, "feddi vault: "+purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Vault{aead}, nil
}

// Seal encrypts plain under a random nonce; sealing twice gives two values.
func (v *Vault) Seal(plain []byte) ([]byte, error) { return v.aead.Seal(nil, nil, plain, nil), nil }

// Open decrypts what Seal made; anything else is ErrOpen.
func (v *Vault) Open(sealed []byte) ([]byte, error) {
	plain, err := v.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// Key makes a random key for New.
func Key() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
}
