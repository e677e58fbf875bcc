package webhook

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// maxURL is the longest endpoint URL, in bytes.
const maxURL = 2000

// CheckURL judges an endpoint's URL before it is stored: https, or in the
// sandbox http to loopback; a host; no credentials in it. What the host
// resolves to is judged again at every connection, by Reachable.
func CheckURL(raw string, mode tenancy.Mode) error {
	refuse := func(rule, format string, args ...any) error {
		return fault.Field(fault.CodeValidationFailed, "url", rule, format, args...)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || len(raw) > maxURL:
		return refuse("absolute_url", "the URL must be absolute, like https://partner.example.com/hook, and at most %d bytes", maxURL)
	case u.User != nil:
		return refuse("no_credentials", "leave user and password out of the URL; deliveries are signed")
	case u.Fragment != "":
		return refuse("no_fragment", "leave the part behind # out of the URL; it is never sent")
	case u.Scheme == "https":
		return checkHost(u.Hostname(), mode, refuse)
	case u.Scheme == "http" && mode == tenancy.Sandbox && loopback(u.Hostname()):
		return nil
	}
	return refuse("https", "the URL must be https; http is for the sandbox, to 127.0.0.1, ::1 or localhost")
}

func checkHost(host string, mode tenancy.Mode, refuse func(rule, format string, args ...any) error) error {
	ip, err := netip.ParseAddr(host)
	if err == nil && !Reachable(ip, mode) {
		return refuse("public_address", "%s is not a public address", host)
	}
	if err != nil && mode == tenancy.Production && loopback(host) {
		return refuse("public_address", "%s is this machine, not yours", host)
	}
	return nil
}

func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// notPublic are ranges beyond those that netip knows by name.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64: an IPv4 address in disguise
	netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64, local use
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("2001::/32"),       // Teredo
	netip.MustParsePrefix("::ffff:0:0:0/96"), // translated IPv4
}

// Reachable reports whether a delivery may connect to ip: public addresses,
// and in the sandbox loopback. It is asked after DNS, when the connection is
// made, so that a name that changes its mind cannot lead inside.
func Reachable(ip netip.Addr, mode tenancy.Mode) bool {
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() {
		return mode == tenancy.Sandbox
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}
