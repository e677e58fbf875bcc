package auth

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// tokenPrefix begins the ids of tokens, which only the tokens themselves show.
const tokenPrefix = "tok"

// IssuedToken is a terminal token with what it says.
type IssuedToken struct {
	Token  string
	Claims tenancy.TokenClaims
}

// ExchangeToken narrows the calling key to one terminal for 600 seconds (rule
// 50). The terminal must lie within the key's scope. Errors: NOT_FOUND
// (terminal), SCOPE_INSUFFICIENT, STATE_CONFLICT for a retired terminal.
func (s *Service) ExchangeToken(ctx context.Context, call *app.Call, terminalID string) (IssuedToken, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (IssuedToken, error) {
		terminal, err := st.Tenancy.Terminal(ctx, call.Tenant, terminalID)
		if err != nil {
			return IssuedToken{}, err
		}
		if err := mayUse(call, terminal); err != nil {
			return IssuedToken{}, err
		}
		claims := tenancy.NewTokenClaims(s.IDs.Make(tokenPrefix), call.Actor, terminal, now)
		token, err := s.Tokens.Issue(claims)
		if err != nil {
			return IssuedToken{}, fault.Internal(err)
		}
		return IssuedToken{Token: token, Claims: claims}, nil
	})
}

// mayUse checks a terminal of the call's merchant against the rest of the
// key's scope and against what the call says of its place.
func mayUse(call *app.Call, t tenancy.Terminal) error {
	reach := tenancy.Reach{
		PartnerID: call.Tenant.PartnerID, Mode: call.Tenant.Mode, Scope: tenancy.ScopeBranch,
		Merchants: []string{t.MerchantID}, BrandID: t.BrandID, BranchID: t.BranchID,
	}
	switch {
	case !call.Actor.Reach().Covers(reach):
		return fault.Field(fault.CodeScopeInsufficient, "terminal_id", "within_own",
			"the terminal lies outside of the brand or branch that your key is limited to; use a key that reaches it")
	case call.BranchID != "" && call.BranchID != t.BranchID, call.BrandID != "" && call.BrandID != t.BrandID,
		call.TerminalID != "" && call.TerminalID != t.ID:
		return fault.NotFound("terminal") // it exists, but not at the place that context names
	case t.Status != tenancy.TerminalActive:
		return fault.Field(fault.CodeStateConflict, "terminal_id", "active", "the terminal is retired and gets no tokens; use another one")
	}
	return nil
}

// TokenStanding is how fresh the calling token is.
type TokenStanding struct {
	ExpiresIn            int // seconds, 1 to 600
	IssuedAt, ExpiresAt  time.Time
	MerchantID, BrandID  string
	BranchID, TerminalID string
}

// ValidateToken says how fresh the calling token is. A token that is not valid
// does not get here.
func (s *Service) ValidateToken(_ context.Context, call *app.Call, _ struct{}) (TokenStanding, error) {
	a := call.Actor
	return TokenStanding{
		ExpiresIn: max(1, tenancy.TokenLeft(a.TokenExpires, s.Clock.Now())),
		IssuedAt:  a.TokenExpires.Add(-tenancy.TokenTTL), ExpiresAt: a.TokenExpires,
		MerchantID: call.Tenant.MerchantID, BrandID: a.BrandID, BranchID: a.BranchID, TerminalID: a.TerminalID,
	}, nil
}

// RevokeToken ends the calling terminal's own token before its time. Returns
// when. Errors: SCOPE_INSUFFICIENT for a caller that has none.
func (s *Service) RevokeToken(ctx context.Context, call *app.Call, _ struct{}) (time.Time, error) {
	if call.Actor.Kind != tenancy.TerminalCall {
		return time.Time{}, fault.New(fault.CodeScopeInsufficient, "only a terminal can end its token; revoke the key to end all of its tokens")
	}
	now := s.Clock.Now()
	at, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (time.Time, error) {
		return now, st.Tenancy.RevokeToken(ctx, ownerOf(call), call.Actor.TokenID, now, call.Actor.TokenExpires)
	})
	s.Changes.Changed(tenancy.Change{Kind: tenancy.ChangeToken, ID: call.Actor.TokenID})
	return at, err
}
