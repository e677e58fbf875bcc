package checkout

import "github.com/feddi/feddi/core/tenancy"

// Within reports whether what happened at p lies within what a credential
// reaches: the most specific scope wins, so a branch's till or key does not see
// another branch. What happened at no particular place is everybody's.
func Within(a tenancy.Actor, p tenancy.Place) bool {
	return (a.BrandID == "" || p.BrandID == "" || a.BrandID == p.BrandID) &&
		(a.BranchID == "" || p.BranchID == "" || a.BranchID == p.BranchID)
}
