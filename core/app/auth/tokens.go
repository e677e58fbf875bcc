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

// mayUse checks that a terminal of the call's merchant is within reach and gets
// tokens.
func mayUse(call *app.Call, t tenancy.Terminal) error {
	if err := within(call, t); err != nil {
		return err
	}
	switch {
	case call.TerminalID != "" && call.TerminalID != t.ID:
		return fault.NotFound("terminal") // context says that the call is of another one
	case t.Status != tenancy.TerminalActive:
		return fault.Field(fault.CodeStateConflict, "terminal_id", "active", "the terminal is retired and gets no tokens; use another one")
	}
	return nil
}

// within checks a terminal of the call's merchant against the rest of the
// key's scope and against the brand and branch of the call.
func within(call *app.Call, t tenancy.Terminal) error {
	switch {
	case !call.Actor.Reach().Covers(t.Reach(call.Tenant)):
		return fault.Field(fault.CodeScopeInsufficient, "terminal_id", "within_own",
			"the terminal lies outside of the brand or branch that your key is limited to; use a key that reaches it")
	case call.BranchID != "" && call.BranchID != t.BranchID, call.BrandID != "" && call.BrandID != t.BrandID:
		return fault.NotFound("terminal") // it exists, but not at the place that context names
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

// RevokeTokenInput says which tokens end: one by itself, or every one that a
// terminal has; at most one of the two. A terminal that names neither ends the
// token it calls with.
type RevokeTokenInput struct{ Token, TerminalID string }

// RevokedTokens are a terminal's tokens that are refused since At.
type RevokedTokens struct {
	TerminalID string
	At         time.Time
}

// RevokeToken ends tokens before their time: a terminal's own, or those of a
// terminal within the key's scope. Ending what has ended changes nothing.
// Errors: VALIDATION_FAILED, NOT_FOUND (terminal, token), SCOPE_INSUFFICIENT.
func (s *Service) RevokeToken(ctx context.Context, call *app.Call, in RevokeTokenInput) (RevokedTokens, error) {
	doomed, err := s.doomed(call, in)
	if err != nil {
		return RevokedTokens{}, err
	}
	now := s.Clock.Now()
	out, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (RevokedTokens, error) {
		out := RevokedTokens{TerminalID: doomed.TerminalID, At: now}
		terminal, err := st.Tenancy.Terminal(ctx, call.Tenant, doomed.TerminalID)
		if err != nil {
			return out, err
		}
		if err := within(call, terminal); err != nil {
			return out, err
		}
		if doomed.ID == "" {
			return out, st.Tenancy.EndTokens(ctx, call.Tenant, terminal.ID)
		}
		if !now.Before(doomed.ExpiresAt) {
			return out, nil // it has ended by itself
		}
		return out, st.Tenancy.RevokeToken(ctx, ownerOf(call), doomed.ID, now, doomed.ExpiresAt)
	})
	// Told after a failure too: see ended.
	if doomed.ID == "" {
		s.Changes.Changed(tenancy.Change{Kind: tenancy.ChangeTerminal, ID: doomed.TerminalID})
	} else {
		s.Changes.Changed(tenancy.Change{Kind: tenancy.ChangeToken, ID: doomed.ID})
	}
	return out, err
}

// doomed is the one token that is to end, or, without an id, the terminal of
// which every one is.
func (s *Service) doomed(call *app.Call, in RevokeTokenInput) (tenancy.TokenClaims, error) {
	a := call.Actor
	terminal := a.Kind == tenancy.TerminalCall
	switch {
	case in.Token != "" && in.TerminalID != "":
		return tenancy.TokenClaims{}, fault.Field(fault.CodeValidationFailed, "token", "one_of", "name a token, or a terminal to end all of its tokens; not both")
	case in.Token == "" && in.TerminalID == "" && terminal:
		return tenancy.TokenClaims{ID: a.TokenID, TerminalID: a.TerminalID, ExpiresAt: a.TokenExpires}, nil
	case in.Token == "" && in.TerminalID == "":
		return tenancy.TokenClaims{}, fault.Field(fault.CodeValidationFailed, "terminal_id", "one_of", "say which tokens end: name one in token, or a terminal in terminal_id")
	}
	doomed := tenancy.TokenClaims{TerminalID: in.TerminalID}
	if in.Token != "" {
		claims, ours := s.Tokens.Read(in.Token)
		if !ours || claims.PartnerID != call.Tenant.PartnerID || claims.Mode != call.Tenant.Mode || claims.MerchantID != call.Tenant.MerchantID {
			return doomed, fault.NotFound("token")
		}
		doomed = claims
	}
	if terminal && doomed.TerminalID != a.TerminalID {
		return doomed, fault.Field(fault.CodeScopeInsufficient, "terminal_id", "own", "a terminal ends its own tokens only; use an API key for those of another one")
	}
	return doomed, nil
}
