package customers

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// MintInput says for whom and what to mint.
type MintInput struct {
	CustomerID string
	Kind       identity.CredentialType // QR or ShortCode; empty for QR
}

// Minted is a fresh single-use code. It exists in the clear here and nowhere
// else: the database has its hash.
type Minted struct {
	Credential identity.Credential
	ExpiresAt  time.Time
	SVG        string // empty for a short code
}

// mintAttempts bounds the draws for a short code that is not out already: with
// a million codes out, one draw in 28 collides.
const mintAttempts = 12

var errCrowded = errors.New("customers: no free short code was found")

// Mint makes a single-use payment credential for the customer's wallet app.
// Earlier unexpired ones stay usable, each once. In production a terminal may
// mint only where the merchant allows it: it could pay with what it mints.
// Errors: SCOPE_INSUFFICIENT, UNSUPPORTED_CREDENTIAL_TYPE, NOT_FOUND.
func (s *Service) Mint(ctx context.Context, call *app.Call, in MintInput) (Minted, error) {
	m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Minted{}, err
	}
	if err := mayMint(call, m.Settings); err != nil {
		return Minted{}, err
	}
	if in.Kind == "" {
		in.Kind = identity.QR
	}
	if err := (identity.Credential{Type: in.Kind}).Enabled(m.Settings.CredentialTypes); err != nil {
		return Minted{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Minted, error) {
		c, err := st.Identity.Customer(ctx, call.Tenant, in.CustomerID)
		if err != nil {
			return Minted{}, err
		}
		if err := c.Usable(); err != nil {
			return Minted{}, err
		}
		return s.mint(ctx, st, c, in.Kind, now.Add(identity.CodeTTL(m.Settings.CodeTTLMinutes)))
	})
}

func mayMint(call *app.Call, settings tenancy.Settings) error {
	if call.Actor.Kind == tenancy.TerminalCall && !call.Sandbox() && !settings.TerminalMayMint {
		return fault.New(fault.CodeScopeInsufficient,
			"a terminal may not mint payment codes for this merchant; mint with an API key from the wallet's server, or have terminal_may_mint switched on")
	}
	return nil
}

func (s *Service) mint(ctx context.Context, st app.Stores, c identity.Customer, kind identity.CredentialType, expires time.Time) (Minted, error) {
	for range mintAttempts {
		value, err := identity.NewCode(s.IDs.Random, kind)
		if err != nil {
			return Minted{}, err
		}
		out := Minted{Credential: identity.Credential{Type: kind, Value: value}, ExpiresAt: expires}
		added, err := st.Identity.AddCode(ctx, identity.PaymentCode{
			Hash: identity.HashCode(c.Tenant, out.Credential), Tenant: c.Tenant, CustomerID: c.ID, Type: kind, ExpiresAt: expires,
		})
		if err != nil {
			return Minted{}, err
		}
		if added {
			if kind == identity.QR {
				out.SVG, err = s.Draw(value)
			}
			return out, err
		}
	}
	return Minted{}, errCrowded
}
