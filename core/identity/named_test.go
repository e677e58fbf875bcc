package identity_test

import (
	"testing"

	"github.com/feddi/feddi/core/identity"
)

func TestWhatNamesACustomer(t *testing.T) {
	t.Parallel()
	ada := identity.Customer{Phone: "+14155550123", Name: "Ada de Quillfeather", Email: "Ada@Example.com"}
	for text, named := range map[string]bool{
		"A cake for ADA!": true, "quillfeather's cake": true, "call 14155550123": true, "to ada@example.COM": true,
		"A cake": false, "de luxe": false, "Canada cake": false, "": false,
	} {
		if got := ada.NamedIn(text); got != named {
			t.Errorf("%q: %v", text, got)
		}
		if (identity.Customer{}).NamedIn(text) {
			t.Errorf("%q names nobody", text)
		}
	}
}
