package system

import (
	"slices"
	"strings"

	"github.com/feddi/feddi/adapters/pluginhost"
	"github.com/feddi/feddi/core/actuation"
)

// loaded tells which actuators serve a merchant.
type loaded struct{ host *pluginhost.Host }

// LoadedFor lists the platform's actuators, then those of the merchant that are
// no shadows, by name.
func (l loaded) LoadedFor(merchantID string) []actuation.Status {
	all, own := l.host.All(), l.host.InstalledFor(merchantID)
	if len(own) == 0 {
		return all
	}
	found := map[string]actuation.Status{}
	for _, r := range l.host.Reports() {
		found[r.Installation] = r.Status
	}
	slices.SortFunc(own, func(a, b actuation.Installation) int { return strings.Compare(a.Manifest.Name, b.Manifest.Name) })
	for _, in := range own {
		if s, runs := found[in.ID]; runs && !in.Shadow {
			s.Manifest = in.Manifest // known before it has described itself
			all = append(all, s)
		}
	}
	return all
}
