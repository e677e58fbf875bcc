// Package handshake is what host and actuator must agree on before they speak
// the contract: the cookie, the protocol versions and the size of a message.
package handshake

import "github.com/hashicorp/go-plugin"

// The protocol versions that are spoken; feddi.actuator.v1 says what they mean.
// Both sides offer them all and the newest common one is used. So a program
// that was built before Version appeared runs on this host, and one that is
// built now runs on a host that knows only Oldest. A version is dropped one
// release after the one behind its successor appeared, never before.
const (
	Version = 2
	Oldest  = 1
)

// Drives is the first version in which Execute is driven.
const Drives = 2

// Plugins is one plugin under every version that is spoken.
func Plugins(p plugin.Plugin) map[int]plugin.PluginSet {
	all := map[int]plugin.PluginSet{}
	for v := Oldest; v <= Version; v++ {
		all[v] = plugin.PluginSet{Name: p}
	}
	return all
}

// GateEnv names the environment variable that holds the path of the gate: the
// unix socket by which an actuator reaches the hosts that were granted to it.
const GateEnv = "FEDDI_ACTUATOR_GATE"

// Name is the name under which a process serves its one actuator.
const Name = "actuator"

// ParentEnv names the environment variable that holds the process id of the
// host, for actuators on systems that cannot bind a child's life to its
// parent's.
const ParentEnv = "FEDDI_ACTUATOR_PARENT"

// Bounds of a message, in bytes.
const (
	// MaxRequestBytes bounds what an actuator must accept.
	MaxRequestBytes = 32 << 20
	// MaxAnswerBytes bounds what a host accepts; a larger answer is an error.
	MaxAnswerBytes = 8 << 20
)

// Window is how many bytes either side may send ahead of what is read. It does not
// change: to find out by pings how large it should be, which gRPC does otherwise,
// is a second round trip beside each call, and the other end is on this machine.
const Window = 1 << 20

// Config is the handshake. The cookie is a courtesy to people who start an
// actuator by hand, not a secret: the connection is secured by mutual TLS.
func Config() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		MagicCookieKey:   "FEDDI_ACTUATOR",
		MagicCookieValue: "8f1f5a7c-2f0e-4d0b-9a53-3d6c4c0f6f11",
	}
}
