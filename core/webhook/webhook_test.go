package webhook

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url                 string
		sandbox, production bool
	}{
		{"https://partner.example.com/hook", true, true},
		{"https://8.8.8.8/hook", true, true},
		{"http://127.0.0.1:9999/hook", true, false},
		{"http://localhost/hook", true, false},
		{"http://[::1]:80/hook", true, false},
		{"https://localhost/hook", true, false},
		{"http://partner.example.com/hook", false, false},
		{"https://10.0.0.1/hook", false, false},
		{"https://192.168.1.1/", false, false},
		{"https://169.254.169.254/latest", false, false},
		{"https://[fd00::1]/", false, false},
		{"https://[::ffff:10.0.0.1]/", false, false},
		{"https://user:secret@partner.example.com/", false, false},
		{"https://partner.example.com/#x", false, false},
		{"ftp://partner.example.com/", false, false},
		{"/hook", false, false},
		{"https://", false, false},
		{"", false, false},
	} {
		for mode, want := range map[tenancy.Mode]bool{tenancy.Sandbox: c.sandbox, tenancy.Production: c.production} {
			err := CheckURL(c.url, mode)
			if (err == nil) != want {
				t.Errorf("CheckURL(%q, %s) = %v, want ok %t", c.url, mode, err, want)
			}
			if err != nil && !fault.Is(err, fault.CodeValidationFailed) {
				t.Errorf("CheckURL(%q, %s) = %v, want VALIDATION_FAILED", c.url, mode, err)
			}
		}
	}
}

func TestReachableRefusesTheInside(t *testing.T) {
	t.Parallel()
	for _, inside := range []string{
		"10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
		"fe80::1", "fc00::1", "ff02::1", "::", "64:ff9b::a00:1", "2002:a00:1::", "::ffff:192.168.0.1",
	} {
		for _, mode := range []tenancy.Mode{tenancy.Sandbox, tenancy.Production} {
			if Reachable(netip.MustParseAddr(inside), mode) {
				t.Errorf("%s is reachable in %s", inside, mode)
			}
		}
	}
	if !Reachable(netip.MustParseAddr("2606:4700::1111"), tenancy.Production) {
		t.Error("a public address is not reachable")
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1000).Draw(t, "failures")
		r := rapid.Float64Range(0, 0.999).Draw(t, "random")
		if d := RetryIn(n, r); d < 0 || d > 2*lastRetry {
			t.Fatalf("RetryIn(%d, %v) = %v", n, r, d)
		}
		if d := ProbeIn(n, r); d <= 0 || d > lastProbe {
			t.Fatalf("ProbeIn(%d, %v) = %v", n, r, d)
		}
	})
}

// TestShortOutage holds what the probing is for: an endpoint that was down for
// ten seconds is found well again within five, with few wasted posts.
func TestShortOutage(t *testing.T) {
	t.Parallel()
	const outage = 10 * time.Second
	at, failures := time.Duration(0), probeAfter
	for at < outage {
		at += ProbeIn(failures, 0.999)
		failures++
	}
	if late := at - outage; late > 5*time.Second {
		t.Errorf("the endpoint is found well %v after the outage", late)
	}
	if wasted := failures - probeAfter; wasted > 10 {
		t.Errorf("%d probes in a ten-second outage", wasted)
	}
}
