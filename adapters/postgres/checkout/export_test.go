package checkout

import (
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/tenancy"
)

// Page is the statement that reads a page of transactions.
func (s *Store) Page(t tenancy.Tenant, f checkout.Filter) string { return s.page(t, f).String() }
