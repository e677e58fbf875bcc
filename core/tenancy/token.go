package tenancy

import "time"

// TokenTTL is how long a terminal token lives (rule 50).
const TokenTTL = 600 * time.Second

// TokenClaims are what a terminal token says of itself. Times are whole seconds.
type TokenClaims struct {
	ID         string // jti
	KeyID      string // the key it came from; it dies with that key
	PartnerID  string
	Mode       Mode
	MerchantID string
	BrandID    string
	BranchID   string
	TerminalID string
	// Generation is the terminal's when it was issued; it dies with the next one.
	Generation int32
	IssuedAt   time.Time
	ExpiresAt  time.Time
}

// NewTokenClaims narrows key to one terminal, from now on for TokenTTL.
func NewTokenClaims(id string, key Actor, t Terminal, now time.Time) TokenClaims {
	issued := now.Truncate(time.Second)
	return TokenClaims{
		ID: id, KeyID: key.KeyID, PartnerID: key.PartnerID, Mode: key.Mode,
		MerchantID: t.MerchantID, BrandID: t.BrandID, BranchID: t.BranchID, TerminalID: t.ID,
		Generation: t.TokenGeneration,
		IssuedAt:   issued, ExpiresAt: issued.Add(TokenTTL),
	}
}

// Actor is who calls with the token, given the key behind it as it is now.
// false where the token reaches further than the key, which then it never
// came from.
func (c TokenClaims) Actor(key KeyStanding) (Actor, bool) {
	own := key.Actor()
	reach := Reach{
		PartnerID: c.PartnerID, Mode: c.Mode, Scope: ScopeBranch, Merchants: []string{c.MerchantID},
		BrandID: c.BrandID, BranchID: c.BranchID,
	}
	tenant := own.Tenant(c.MerchantID)
	if tenant.MerchantID == "" || !own.Reach().Covers(reach) {
		return Actor{}, false
	}
	return Actor{
		Kind: TerminalCall, PartnerID: c.PartnerID, Mode: c.Mode, KeyID: c.KeyID, Scope: ScopeBranch,
		Merchants: reach.Merchants, TenantNos: []int32{tenant.No},
		BrandID: c.BrandID, BranchID: c.BranchID, TerminalID: c.TerminalID,
		TokenID: c.ID, TokenExpires: c.ExpiresAt,
	}, true
}

// TokenLeft is how many whole seconds a token has left, a begun one counted
// as whole: 1 to 600 for a token that is valid at now.
func TokenLeft(expires, now time.Time) int {
	return int((expires.Sub(now) + time.Second - 1) / time.Second)
}

// SigningKey signs terminal tokens.
type SigningKey struct {
	ID     string // kid
	Secret []byte // 32 bytes
}

// Secrets are what the servers of one database share and no caller may know.
type Secrets struct {
	// Signing are the keys that terminal tokens are verified with, the one that
	// signs first.
	Signing []SigningKey
	// ServerKey seals stored answers that hold a secret. 32 bytes.
	ServerKey []byte
}
