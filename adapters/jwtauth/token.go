package jwtauth

import (
	"context"
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

const (
	issuer   = "feddi"
	audience = "feddi.partner.v1"
	// maxToken is the longest token that is looked at; ours have some 700 bytes.
	maxToken = 4096
)

// claims are tenancy.TokenClaims as the token has them.
type claims struct {
	jwt.RegisteredClaims
	KeyID      string       `json:"key_id"`
	PartnerID  string       `json:"partner_id"`
	Mode       tenancy.Mode `json:"mode"`
	MerchantID string       `json:"merchant_id"`
	BrandID    string       `json:"brand_id,omitempty"`
	BranchID   string       `json:"branch_id"`
	TerminalID string       `json:"terminal_id"`
	Generation int32        `json:"gen,omitempty"`
}

// newParser accepts our own signature method only, whatever the token says.
func newParser(c clock.Clock) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(c.Now),
	)
}

// Issue implements tenancy.TokenIssuer.
func (a *Authenticator) Issue(c tenancy.TokenClaims) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: c.TerminalID, ID: c.ID,
			IssuedAt: jwt.NewNumericDate(c.IssuedAt), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
		KeyID: c.KeyID, PartnerID: c.PartnerID, Mode: c.Mode,
		MerchantID: c.MerchantID, BrandID: c.BrandID, BranchID: c.BranchID, TerminalID: c.TerminalID,
		Generation: c.Generation,
	})
	t.Header["kid"] = a.Signing[0].ID
	return t.SignedString(a.Signing[0].Secret)
}

// Terminal verifies a terminal token. Errors: UNAUTHENTICATED, TOKEN_EXPIRED,
// TOKEN_REVOKED (the token, its key or its terminal was ended), and what the
// database answers where it had to be asked.
func (a *Authenticator) Terminal(ctx context.Context, text string) (tenancy.Actor, error) {
	if len(text) > maxToken {
		return tenancy.Actor{}, badToken(errors.New("too long"))
	}
	now := a.Clock.Now()
	a.mu.Lock()
	t, known := a.tokens.Get(text)
	over := known && !now.Before(t.actor.TokenExpires)
	switch heard := a.heard; {
	case over:
		a.tokens.Delete(text)
		a.mu.Unlock()
		return tenancy.Actor{}, expired()
	case known:
		a.note(t.key, now)
		a.mu.Unlock()
		return t.actor, nil
	default:
		a.mu.Unlock()
		return a.remember(ctx, text, heard)
	}
}

// remember verifies a token and keeps it, unless something changed meanwhile.
func (a *Authenticator) remember(ctx context.Context, text string, heard uint64) (tenancy.Actor, error) {
	t, err := a.verify(ctx, text)
	if err != nil {
		return tenancy.Actor{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.note(t.key, a.Clock.Now())
	if a.heard == heard {
		a.tokens.Put(strings.Clone(text), t) // not the header that it was a part of
	}
	return t.actor, nil
}

// verify judges a token that is not remembered.
func (a *Authenticator) verify(ctx context.Context, text string) (token, error) {
	c, err := a.parse(text)
	if err != nil {
		return token{}, err
	}
	if err := a.serves(c.Mode, "token"); err != nil {
		return token{}, err
	}
	entry, err := a.keyByID(ctx, tenancy.Owner{PartnerID: c.PartnerID, Mode: c.Mode}, c.KeyID)
	if err != nil {
		return token{}, err
	}
	if entry == nil || entry.standing.Key.Status != tenancy.KeyActive {
		return token{}, revoked("the API key that this token came from was revoked; get a key that is active and exchange it")
	}
	ended, err := a.Store.TokenEnded(ctx, c)
	if err != nil {
		return token{}, err
	}
	actor, covered := c.Actor(entry.standing)
	if ended || !covered {
		return token{}, revoked("this token was revoked, or its terminal is no longer in use; exchange your key for a new one")
	}
	return token{actor, entry}, nil
}

// parse checks signature, form and time.
func (a *Authenticator) parse(token string) (tenancy.TokenClaims, error) {
	var c claims
	_, err := a.parser.ParseWithClaims(token, &c, a.secretOf)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return tenancy.TokenClaims{}, expired()
	case err != nil:
		return tenancy.TokenClaims{}, badToken(err)
	case !c.whole():
		return tenancy.TokenClaims{}, badToken(errors.New("a claim is missing"))
	}
	return c.tenancy(), nil
}

func (c *claims) whole() bool {
	return c.IssuedAt != nil && c.ExpiresAt != nil && c.ID != "" && c.Subject == c.TerminalID
}

func (c *claims) tenancy() tenancy.TokenClaims {
	return tenancy.TokenClaims{
		ID: c.ID, KeyID: c.KeyID, PartnerID: c.PartnerID, Mode: c.Mode,
		MerchantID: c.MerchantID, BrandID: c.BrandID, BranchID: c.BranchID, TerminalID: c.TerminalID, Generation: c.Generation,
		IssuedAt: c.IssuedAt.UTC(), ExpiresAt: c.ExpiresAt.UTC(),
	}
}

// Read implements tenancy.TokenIssuer. The signature is proven before a time
// is looked at, so an expired token's claims are as true as another's.
func (a *Authenticator) Read(token string) (tenancy.TokenClaims, bool) {
	if len(token) > maxToken {
		return tenancy.TokenClaims{}, false
	}
	var c claims
	_, err := a.parser.ParseWithClaims(token, &c, a.secretOf)
	over := errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid) && !errors.Is(err, jwt.ErrTokenInvalidIssuer) &&
		!errors.Is(err, jwt.ErrTokenInvalidAudience)
	if err != nil && !over || !c.whole() {
		return tenancy.TokenClaims{}, false
	}
	return c.tenancy(), true
}

// secretOf is the secret of the key that the token names.
func (a *Authenticator) secretOf(t *jwt.Token) (any, error) {
	for _, k := range a.Signing {
		if t.Header["kid"] == k.ID {
			return k.Secret, nil
		}
	}
	return nil, errors.New("the signing key is not known")
}

// badToken keeps the reason to itself: it would help a forger only.
func badToken(error) error {
	return fault.New(fault.CodeUnauthenticated, "the terminal token is not one of ours; exchange your key for one at POST /auth/token")
}

func expired() error {
	return fault.New(fault.CodeTokenExpired, "the terminal token has expired; exchange your key for a new one at POST /auth/token")
}

func revoked(message string) error { return fault.New(fault.CodeTokenRevoked, "%s", message) }
