package tenancy

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/tenancy"
)

const (
	signingKey   = "signing_key"
	serverKey    = "server_key"
	secretLength = 32
)

// ErrMasterKey says that the stored secrets were sealed with another master key
// than the one given, or that none was given.
var ErrMasterKey = errors.New("the server secrets in this database are sealed with another master key; start with the one they were made with")

// OpenSecrets reads the secrets that all servers of the database share, and
// makes them where there are none; any number of servers may do so at once.
//
// With a master key (at least 32 bytes, kept outside of the database) they are
// stored sealed, and secrets that were stored in the clear before are sealed
// now. Without one (nil) they are stored in the clear: then whoever reads the
// database can sign terminal tokens. Errors: ErrMasterKey.
func OpenSecrets(ctx context.Context, db *pg.DB, master []byte, now time.Time) (tenancy.Secrets, error) {
	if master != nil && len(master) < secretLength {
		return tenancy.Secrets{}, fmt.Errorf("the master key has %d bytes; it needs at least %d", len(master), secretLength)
	}
	var secrets tenancy.Secrets
	err := pg.Tx(ctx, db, func(ctx context.Context, q pg.Q) error {
		// A statement of its own, so that the next one's snapshot has what another
		// starting server made.
		if _, err := q.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('server_secrets'))`); err != nil {
			return err
		}
		v := vault{q, master}
		for _, name := range []string{signingKey, serverKey} {
			if err := v.make(ctx, name, now); err != nil {
				return err
			}
		}
		var err error
		secrets, err = v.open(ctx)
		return err
	})
	return secrets, err
}

type vault struct {
	q      pg.Q
	master []byte
}

// make stores a new secret of name where there is none.
func (v vault) make(ctx context.Context, name string, now time.Time) error {
	secret := make([]byte, secretLength)
	_, _ = rand.Read(secret) // never fails, by its documentation
	id := hex.EncodeToString(hashOf(secret)[:8])
	value, err := v.seal(name, id, secret)
	if err != nil {
		return err
	}
	_, err = v.q.Exec(ctx, `INSERT INTO server_secrets (name, secret_id, value, sealed, created_at)
		SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT FROM server_secrets WHERE name = $1)`, name, id, value, v.master != nil, now)
	return err
}

func hashOf(secret []byte) []byte {
	sum := sha256.Sum256(secret)
	return sum[:]
}

type secretRow struct {
	Name, SecretID string
	Value          []byte
	Sealed         bool
}

// open reads every secret, newest first, and seals what is in the clear.
func (v vault) open(ctx context.Context) (secrets tenancy.Secrets, err error) {
	rows, err := pg.Many[secretRow](ctx, v.q, `SELECT name, secret_id, value, sealed FROM server_secrets
		ORDER BY created_at DESC, secret_id FOR UPDATE`)
	if err != nil {
		return secrets, err
	}
	for _, r := range rows {
		secret := r.Value
		switch {
		case r.Sealed:
			if secret, err = v.unseal(r); err != nil {
				return secrets, err
			}
		case v.master != nil:
			if err := v.sealNow(ctx, r); err != nil {
				return secrets, err
			}
		}
		if r.Name == serverKey {
			secrets.ServerKey = secret
		} else {
			secrets.Signing = append(secrets.Signing, tenancy.SigningKey{ID: r.SecretID, Secret: secret})
		}
	}
	return secrets, nil
}

func (v vault) sealNow(ctx context.Context, r secretRow) error {
	value, err := v.seal(r.Name, r.SecretID, r.Value)
	if err != nil {
		return err
	}
	_, err = v.q.Exec(ctx, `UPDATE server_secrets SET value = $3, sealed = true WHERE name = $1 AND secret_id = $2`, r.Name, r.SecretID, value)
	return err
}

// seal encrypts secret with the master key, bound to its name and id; without a
// master key it stays as it is.
func (v vault) seal(name, id string, secret []byte) ([]byte, error) {
	if v.master == nil {
		return secret, nil
	}
	aead, err := v.aead()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(secret)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails, by its documentation
	return aead.Seal(nonce, nonce, secret, []byte(name+" "+id)), nil
}

func (v vault) unseal(r secretRow) ([]byte, error) {
	if v.master == nil {
		return nil, ErrMasterKey
	}
	aead, err := v.aead()
	if err != nil {
		return nil, err
	}
	if len(r.Value) < aead.NonceSize() {
		return nil, ErrMasterKey
	}
	secret, err := aead.Open(nil, r.Value[:aead.NonceSize()], r.Value[aead.NonceSize():], []byte(r.Name+" "+r.SecretID))
	if err != nil {
		return nil, ErrMasterKey
	}
	return secret, nil
}

func (v vault) aead() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, v.master, nil, "feddi server secrets v1", secretLength)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
