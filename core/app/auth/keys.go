package auth

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// CreateKeyInput describes the key to provision. The merchant is the call's.
type CreateKeyInput struct {
	Name  string
	Scope tenancy.Scope
	// BrandID and BranchID say where; what the caller's own key is bound to
	// needs not be repeated.
	BrandID, BranchID string
	Operator          bool
}

// CreateKey provisions a key at the caller's own scope or a narrower one, in
// the caller's mode. Errors: VALIDATION_FAILED, NOT_FOUND (brand, branch),
// SCOPE_INSUFFICIENT, OPERATOR_REQUIRED.
func (s *Service) CreateKey(ctx context.Context, call *app.Call, in CreateKeyInput) (IssuedKey, error) {
	key, err := s.design(ctx, call, in)
	if err != nil {
		return IssuedKey{}, err
	}
	issued, err := Issue(s.IDs, key)
	if err != nil {
		return IssuedKey{}, err
	}
	return app.Mutate(ctx, s.UoW, s.Clock.Now(), call, func(ctx context.Context, st app.Stores) (IssuedKey, error) {
		return issued, st.Tenancy.AddKey(ctx, issued.Key)
	})
}

// design is the key that in asks for, proven to lie within the caller's reach.
func (s *Service) design(ctx context.Context, call *app.Call, in CreateKeyInput) (tenancy.APIKey, error) {
	k := tenancy.APIKey{
		PartnerID: call.Actor.PartnerID, Mode: call.Actor.Mode, Name: in.Name, Scope: in.Scope, Operator: in.Operator,
		BrandID: in.BrandID, BranchID: in.BranchID,
	}
	if in.Scope != tenancy.ScopePlatform && call.Tenant.MerchantID != "" {
		k.Merchants = []string{call.Tenant.MerchantID}
	}
	if k.BrandID == "" && (in.Scope == tenancy.ScopeBrand || in.Scope == tenancy.ScopeBranch) {
		k.BrandID = call.Actor.BrandID
	}
	if k.BranchID == "" && in.Scope == tenancy.ScopeBranch {
		k.BranchID = call.Actor.BranchID
	}
	if err := k.Validate(); err != nil {
		return k, err
	}
	if k.BrandID != "" || k.BranchID != "" {
		place, err := s.Directory.Place(ctx, call.Tenant.MerchantID, k.BrandID, k.BranchID, "")
		if err != nil {
			return k, err
		}
		k.BrandID, k.BranchID = place.BrandID, place.BranchID
	}
	switch reach := call.Actor.Reach(); {
	case !reach.Covers(k.Reach()):
		return k, fault.Field(fault.CodeScopeInsufficient, "scope", "within_own",
			"your key has scope %s; it can only provision keys of that scope or a narrower one, at its own place", call.Actor.Scope)
	case !reach.MayTouch(k.Reach()):
		return k, fault.Field(fault.CodeOperatorRequired, "operator", "within_own",
			"only a key with operator authority can give it; leave operator out or use such a key")
	}
	return k, nil
}

// ListKeysInput narrows the list.
type ListKeysInput struct {
	Status tenancy.KeyStatus // empty for all
	Limit  int               // 0 means 50, at most 200
	Cursor string
}

// KeyPage is one page of keys, latest first.
type KeyPage struct {
	Keys []tenancy.APIKey
	Next string // empty on the last page
}

// Bounds of a page of keys.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// ListKeys lists the keys that the caller's reach covers, revoked ones too.
// Errors: CURSOR_INVALID.
func (s *Service) ListKeys(ctx context.Context, call *app.Call, in ListKeysInput) (KeyPage, error) {
	after, err := openCursor(in.Cursor)
	if err != nil {
		return KeyPage{}, err
	}
	limit := min(in.Limit, maxLimit)
	if limit <= 0 {
		limit = defaultLimit
	}
	keys, err := s.UoW.Read().Tenancy.ListKeys(ctx, tenancy.KeyFilter{
		Owner: ownerOf(call), Within: call.Actor.Reach(), MerchantID: call.Tenant.MerchantID,
		Status: in.Status, After: after, Limit: limit + 1,
	})
	page := KeyPage{Keys: keys}
	if len(keys) > limit {
		page.Keys = keys[:limit]
		page.Next = sealCursor(page.Keys[limit-1].ID)
	}
	return page, err
}

// Key reads one key's metadata. Errors: NOT_FOUND.
func (s *Service) Key(ctx context.Context, call *app.Call, id string) (tenancy.APIKey, error) {
	return find(ctx, s.UoW.Read(), call, id)
}

// RevokeKey revokes a key and every terminal token that came from it; the
// record stays. Revoking a revoked key changes nothing. Errors: NOT_FOUND,
// OPERATOR_REQUIRED.
func (s *Service) RevokeKey(ctx context.Context, call *app.Call, id string) (tenancy.APIKey, error) {
	now := s.Clock.Now()
	key, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (tenancy.APIKey, error) {
		if _, err := touchable(ctx, st, call, id); err != nil {
			return tenancy.APIKey{}, err
		}
		k, _, err := st.Tenancy.RevokeKey(ctx, ownerOf(call), id, "", now)
		return k, err
	})
	s.ended(id)
	return key, err
}

// RegenerateKey revokes a key and issues another of the same name, scope and
// authority. Errors: NOT_FOUND, OPERATOR_REQUIRED, STATE_CONFLICT where it was
// revoked already.
func (s *Service) RegenerateKey(ctx context.Context, call *app.Call, id string) (IssuedKey, error) {
	now := s.Clock.Now()
	issued, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (IssuedKey, error) {
		old, err := touchable(ctx, st, call, id)
		if err != nil {
			return IssuedKey{}, err
		}
		next, err := Issue(s.IDs, old)
		if err != nil {
			return IssuedKey{}, err
		}
		next.ReplacedID = old.ID
		_, changed, err := st.Tenancy.RevokeKey(ctx, ownerOf(call), id, next.Key.ID, now)
		if err == nil && !changed {
			err = fault.Field(fault.CodeStateConflict, "key_id", "active", "that key is revoked; only an active one can be regenerated: provision a new one")
		}
		if err != nil {
			return IssuedKey{}, err
		}
		return next, st.Tenancy.AddKey(ctx, next.Key)
	})
	s.ended(id)
	return issued, err
}

// DeleteKey deletes a key's record for good; an active one dies with it, and so
// do its terminal tokens. Returns the id. Errors: NOT_FOUND, OPERATOR_REQUIRED.
func (s *Service) DeleteKey(ctx context.Context, call *app.Call, id string) (string, error) {
	_, err := app.Mutate(ctx, s.UoW, s.Clock.Now(), call, func(ctx context.Context, st app.Stores) (string, error) {
		if _, err := touchable(ctx, st, call, id); err != nil {
			return "", err
		}
		return id, st.Tenancy.DeleteKey(ctx, ownerOf(call), id)
	})
	s.ended(id)
	return id, err
}

// ended makes the caches forget a key. Told after a failure too: a commit whose
// answer was lost may have happened, and to read again does no harm.
func (s *Service) ended(keyID string) {
	s.Changes.Changed(tenancy.Change{Kind: tenancy.ChangeKey, ID: keyID})
}
