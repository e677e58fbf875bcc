// Package jwtauth verifies the two credentials of the API, keys and terminal
// tokens (JWT), and issues the latter. What it verified it keeps in memory
// until it hears that it changed, so that an ordinary call costs no query: a
// revocation holds at once on the server that took it, and on others as soon as
// their watcher hears of it.
package jwtauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/lru"
	"github.com/feddi/feddi/core/tenancy"
)

// How much is remembered; a key is some 500 bytes, a token 1,300.
const (
	maxKeys    = 10_000
	maxUnknown = 1_000
	maxTokens  = 50_000
)

// Options are what an Authenticator needs. All are required.
type Options struct {
	// Signing are the keys of terminal tokens, the one that signs first.
	Signing []tenancy.SigningKey
	Store   tenancy.Credentials
	Clock   clock.Clock
	// Modes are those that this server serves: a key or token of another one is
	// refused, however valid. A production server does not name the sandbox.
	Modes []tenancy.Mode
	Log   *slog.Logger
}

// Authenticator implements the pipeline's Authenticator, tenancy.TokenIssuer
// and tenancy.Listener. Safe for concurrent use.
type Authenticator struct {
	Options
	parser *jwt.Parser

	mu      sync.Mutex
	keys    *lru.Cache[[32]byte, *keyEntry]
	byID    map[string]*keyEntry // of those in keys
	unknown *lru.Cache[[32]byte, struct{}]
	tokens  *lru.Cache[string, token] // by the token's text
	// heard counts changes: what was read before one is not kept after it.
	heard uint64
	// used are the uses that Flush has not written yet, by key id.
	used map[string]time.Time
}

// token is a terminal token that was verified, with the key it came from.
type token struct {
	actor tenancy.Actor
	key   *keyEntry
}

// keyEntry is a key as it was read.
type keyEntry struct {
	standing tenancy.KeyStanding
	actor    tenancy.Actor
	noted    time.Time // the last use that was noted
}

var (
	_ tenancy.TokenIssuer = (*Authenticator)(nil)
	_ tenancy.Listener    = (*Authenticator)(nil)
)

// New returns an Authenticator, or an error that says what o lacks.
func New(o Options) (*Authenticator, error) {
	switch {
	case len(o.Signing) == 0:
		return nil, errors.New("jwtauth: no signing key")
	case slices.ContainsFunc(o.Signing, func(k tenancy.SigningKey) bool { return k.ID == "" || len(k.Secret) < sha256.Size }):
		return nil, errors.New("jwtauth: a signing key needs an id and 32 bytes")
	case o.Store == nil || o.Clock == nil || o.Log == nil || len(o.Modes) == 0:
		return nil, errors.New("jwtauth: Store, Clock, Log and Modes are required")
	}
	return &Authenticator{
		Options: o,
		parser:  newParser(o.Clock),
		keys:    lru.New[[32]byte, *keyEntry](maxKeys),
		byID:    map[string]*keyEntry{},
		unknown: lru.New[[32]byte, struct{}](maxUnknown),
		tokens:  lru.New[string, token](maxTokens),
		used:    map[string]time.Time{},
	}, nil
}

// Key verifies a raw key. Errors: UNAUTHENTICATED, API_KEY_REVOKED, and what
// the database answers where it had to be asked.
func (a *Authenticator) Key(ctx context.Context, raw string) (tenancy.Actor, error) {
	mode, ok := tenancy.ModeOfKey(raw)
	if !ok {
		return tenancy.Actor{}, unknownKey()
	}
	if err := a.serves(mode, "key"); err != nil {
		return tenancy.Actor{}, err
	}
	entry, err := a.keyByHash(ctx, tenancy.HashKey(raw))
	switch {
	case err != nil:
		return tenancy.Actor{}, err
	case entry == nil || entry.standing.Key.Mode != mode:
		return tenancy.Actor{}, unknownKey()
	case entry.standing.Key.Status != tenancy.KeyActive:
		return tenancy.Actor{}, fault.New(fault.CodeAPIKeyRevoked, "this API key was revoked; use the one that replaced it or provision another")
	}
	now := a.Clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.note(entry, now)
	return entry.actor, nil
}

func unknownKey() error {
	return fault.New(fault.CodeUnauthenticated, "the API key is not known; check it for typing errors and that it was not deleted")
}

// serves refuses the modes that this server does not serve.
func (a *Authenticator) serves(m tenancy.Mode, what string) error {
	if slices.Contains(a.Modes, m) {
		return nil
	}
	return fault.New(fault.CodeUnauthenticated, "this server does not serve the %s; a %s %s cannot be used here", m, m, what)
}

// keyByHash returns a key from memory or reads it; nil where there is none.
func (a *Authenticator) keyByHash(ctx context.Context, hash [32]byte) (*keyEntry, error) {
	a.mu.Lock()
	entry, ok := a.keys.Get(hash)
	_, missing := a.unknown.Get(hash)
	heard := a.heard
	a.mu.Unlock()
	if ok || missing {
		return entry, nil
	}
	found, err := a.Store.KeyByHash(ctx, hash)
	if err != nil {
		return nil, err
	}
	return a.keep(hash, found, heard), nil
}

// keyByID is keyByHash by id.
func (a *Authenticator) keyByID(ctx context.Context, o tenancy.Owner, id string) (*keyEntry, error) {
	a.mu.Lock()
	entry, ok := a.byID[id]
	heard := a.heard
	a.mu.Unlock()
	if ok && entry.standing.Key.PartnerID == o.PartnerID && entry.standing.Key.Mode == o.Mode {
		return entry, nil
	}
	found, err := a.Store.KeyByID(ctx, o, id)
	if err != nil || found == nil {
		return nil, err
	}
	return a.keep(found.Key.Hash, found, heard), nil
}

// keep remembers what was read for hash, nil included, unless something changed
// while it was read.
func (a *Authenticator) keep(hash [32]byte, found *tenancy.KeyStanding, heard uint64) *keyEntry {
	var entry *keyEntry
	if found != nil {
		entry = &keyEntry{standing: *found, actor: found.Actor()}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.heard != heard:
	case entry == nil:
		a.unknown.Put(hash, struct{}{})
	default:
		if a.keys.Len() >= maxKeys {
			a.forgetKeys(func(*keyEntry) bool { return true }) // byID follows; to refill is cheap
		}
		a.keys.Put(hash, entry)
		a.byID[entry.standing.Key.ID] = entry
	}
	return entry
}

// forgetKeys drops the keys that gone says are gone. The caller locks.
func (a *Authenticator) forgetKeys(gone func(*keyEntry) bool) {
	a.keys.DeleteFunc(func(_ [32]byte, e *keyEntry) bool {
		if !gone(e) {
			return false
		}
		delete(a.byID, e.standing.Key.ID)
		return true
	})
}

// Changed implements tenancy.Listener: keys and tokens that a change concerns
// are read and verified again when they come next.
func (a *Authenticator) Changed(c tenancy.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard++
	switch c.Kind {
	case tenancy.ChangeKey:
		a.forgetKeys(func(e *keyEntry) bool { return e.standing.Key.ID == c.ID })
		a.forgetTokens(func(t tenancy.Actor) bool { return t.KeyID == c.ID })
	case tenancy.ChangeToken:
		a.forgetTokens(func(t tenancy.Actor) bool { return t.TokenID == c.ID })
	case tenancy.ChangeTerminal:
		a.forgetTokens(func(t tenancy.Actor) bool { return t.TerminalID == c.ID })
	case tenancy.ChangeMerchant:
		a.forgetKeys(func(e *keyEntry) bool {
			return e.standing.Key.Scope == tenancy.ScopePlatform || slices.Contains(e.standing.Key.Merchants, c.ID)
		})
		a.forgetTokens(func(t tenancy.Actor) bool { return slices.Contains(t.Merchants, c.ID) })
	case tenancy.ChangeAll:
		a.keys.Clear()
		clear(a.byID)
		a.unknown.Clear()
		a.tokens.Clear()
	case tenancy.ChangeBrand, tenancy.ChangeBranch: // their terminals are told by themselves
	}
}

func (a *Authenticator) forgetTokens(gone func(tenancy.Actor) bool) {
	a.tokens.DeleteFunc(func(_ string, t token) bool { return gone(t.actor) })
}
