package tenancy

import "slices"

// Reach is how far a credential reaches: the boundary that a key can hand on
// in part, and never exceed.
type Reach struct {
	PartnerID string
	Mode      Mode
	Scope     Scope
	// Merchants that it is authorised for. Of no meaning for platform scope,
	// which reaches every merchant of the partner.
	Merchants         []string
	BrandID, BranchID string
	Operator          bool
}

// rank orders the scopes, widest first; an unknown one is narrower than all.
func (s Scope) rank() int {
	return slices.Index([]Scope{ScopePlatform, ScopeEnterprise, ScopeBrand, ScopeBranch}, s)
}

// Covers reports whether other lies within r: the same partner and mode, the
// same scope or a narrower one, and no place outside of r's. Operator authority
// is judged apart (see MayTouch), because a caller is told so.
func (r Reach) Covers(other Reach) bool {
	if r.PartnerID != other.PartnerID || r.Mode != other.Mode || r.Scope.rank() < 0 || other.Scope.rank() < r.Scope.rank() {
		return false
	}
	if r.Scope == ScopePlatform {
		return true
	}
	for _, m := range other.Merchants {
		if !slices.Contains(r.Merchants, m) {
			return false
		}
	}
	return len(other.Merchants) > 0 &&
		(r.BrandID == "" || r.BrandID == other.BrandID) &&
		(r.BranchID == "" || r.BranchID == other.BranchID)
}

// MayTouch reports whether r has the authority to make, change or end a key of
// other's: without operator authority, none that carries it.
func (r Reach) MayTouch(other Reach) bool { return r.Operator || !other.Operator }

// Reach is how far the actor reaches.
func (a Actor) Reach() Reach {
	return Reach{
		PartnerID: a.PartnerID, Mode: a.Mode, Scope: a.Scope, Merchants: a.Merchants,
		BrandID: a.BrandID, BranchID: a.BranchID, Operator: a.Operator,
	}
}

// Tenant is the boundary of one of the actor's merchants, with its number.
// Without a merchant, or for one that the actor is not authorised for, the
// boundary is the partner's and has no number.
func (a Actor) Tenant(merchantID string) Tenant {
	t := Tenant{PartnerID: a.PartnerID, Mode: a.Mode}
	if i := slices.Index(a.Merchants, merchantID); i >= 0 {
		t.MerchantID = merchantID
		if i < len(a.TenantNos) {
			t.No = a.TenantNos[i]
		}
	}
	return t
}
