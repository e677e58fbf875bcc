// Package auth is the use cases of keys and terminal tokens: hand out, narrow
// and take back what a caller may do. Nobody hands on more than they have.
package auth

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases. Every member is required.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source // its randomness makes the raw keys
	Directory tenancy.Directory
	Tokens    tenancy.TokenIssuer
	// Changes is told what ended after it committed, so that it holds at once
	// on this server; the others hear of it from the database.
	Changes tenancy.Listener
}

// IssuedKey is a new key with its raw form, which is shown this once.
type IssuedKey struct {
	Raw string
	Key tenancy.APIKey
	// ReplacedID is the key that it replaces; empty where none.
	ReplacedID string
}

// Issue makes the raw key of k and completes k with its id and hash. It writes
// nothing.
func Issue(source *ids.Source, k tenancy.APIKey) (IssuedKey, error) {
	raw, err := tenancy.NewRawKey(source.Random, k.Mode)
	if err != nil {
		return IssuedKey{}, fault.Internal(err)
	}
	k.ID, k.Hash, k.Prefix = source.Make(ids.Key), tenancy.HashKey(raw), tenancy.KeyPrefix(raw)
	k.Status, k.CreatedAt = tenancy.KeyActive, source.Clock.Now()
	k.ReplacedBy, k.LastUsedAt, k.RevokedAt = "", nil, nil
	return IssuedKey{Raw: raw, Key: k}, nil
}

func ownerOf(call *app.Call) tenancy.Owner {
	return tenancy.Owner{PartnerID: call.Actor.PartnerID, Mode: call.Actor.Mode}
}

// find reads a key that the caller may see: one that its reach covers and that
// belongs to the merchant that the call is for. Any other is not found.
func find(ctx context.Context, st app.Stores, call *app.Call, id string) (tenancy.APIKey, error) {
	k, err := st.Tenancy.Key(ctx, ownerOf(call), id)
	if err != nil {
		return k, err
	}
	if !call.Actor.Reach().Covers(k.Reach()) || !about(k, call.Tenant.MerchantID) {
		return tenancy.APIKey{}, fault.NotFound("key")
	}
	return k, nil
}

// about reports whether k concerns a merchant; every key does where none is named.
func about(k tenancy.APIKey, merchantID string) bool {
	if merchantID == "" || k.Scope == tenancy.ScopePlatform {
		return true
	}
	for _, m := range k.Merchants {
		if m == merchantID {
			return true
		}
	}
	return false
}

// touchable is find for callers that change what they find: a key with operator
// authority is for operators.
func touchable(ctx context.Context, st app.Stores, call *app.Call, id string) (tenancy.APIKey, error) {
	k, err := find(ctx, st, call, id)
	if err == nil && !call.Actor.Reach().MayTouch(k.Reach()) {
		err = fault.New(fault.CodeOperatorRequired, "that key carries operator authority; only a key that does too may change it")
	}
	return k, err
}
