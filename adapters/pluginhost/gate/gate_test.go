package gate

import (
	"errors"
	"net"
	"testing"
)

func TestWhatIsGranted(t *testing.T) {
	t.Parallel()
	g := &Gate{hosts: []string{"offers.example.com", "api.example.com:8443", "127.0.0.1:80"}}
	for address, want := range map[string]bool{
		"offers.example.com:443": true, "OFFERS.example.com:443": true, "offers.example.com:80": false, "api.example.com:8443": true,
		"api.example.com:443": false, "127.0.0.1:80": true, "127.0.0.1:443": false, "x.offers.example.com:443": false, "offers.example.com": false, "": false,
	} {
		if g.granted(address) != want {
			t.Errorf("%q is granted: %v", address, !want)
		}
	}
}

// TestNamesDoNotLeadInward: whoever owns a granted name cannot turn it into an
// address of the server. localhost was granted as what it is.
func TestNamesDoNotLeadInward(t *testing.T) {
	t.Parallel()
	// The one name that every resolver here knows to be loopback without asking.
	_, err := dialGranted(t.Context(), "feddi.localhost:1")
	var dns *net.DNSError
	if !errors.Is(err, errInward) && !errors.As(err, &dns) {
		t.Errorf("%v", err)
	}
	if _, err := dialGranted(t.Context(), "localhost:1"); errors.Is(err, errInward) || err == nil {
		t.Errorf("localhost: %v", err)
	}
}
