package dispute

import (
	"github.com/feddi/feddi/core/dispute"
	"github.com/feddi/feddi/core/tenancy"
)

// Query is the statement that reads a page of a list.
func (s *Store) Query(t tenancy.Tenant, f dispute.Filter) string { return s.query(t, f).String() }
