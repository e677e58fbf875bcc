// Package actuators installs the actuators that merchants have of their own,
// keeps the host in step with what is installed, and runs shadows: an actuator
// beside the live ones whose decisions are recorded and not committed.
package actuators

import (
	"context"
	"encoding/json"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// Directory finds a merchant. Errors: NOT_FOUND.
type Directory interface {
	Merchant(ctx context.Context, merchantID string) (tenancy.Merchant, error)
}

// Service installs, for the operator of the machine.
type Service struct {
	Store     Store
	Directory Directory
	Clock     clock.Clock
	IDs       *ids.Source
}

// InstallInput is an actuator that was started once and passed conformance.
type InstallInput struct {
	MerchantID    string
	Path, SHA256  string
	Manifest      actuation.Manifest // what it declared
	Settings      json.RawMessage
	MaxGrantMinor int64    // 0: the total of the sale
	AllowHosts    bool     // it may reach the hosts of its manifest
	Hosts         []string // it may reach these
	Shadow        bool
}

// Validate checks what can be checked without the merchant. Errors:
// VALIDATION_FAILED.
func (in InstallInput) Validate() error {
	if err := in.Manifest.Validate(); err != nil {
		return err
	}
	switch {
	case len((actuation.Installation{Manifest: in.Manifest}).SaleKinds()) == 0:
		return fault.Field(fault.CodeValidationFailed, "manifest.decision_kinds", "sale_kinds",
			"it decides %q; a merchant's actuator is asked when a sale closes, for %q", in.Manifest.DecisionKinds, actuation.SaleKinds())
	case in.MaxGrantMinor < 0 || in.MaxGrantMinor > money.MaxMinor:
		return fault.Field(fault.CodeValidationFailed, "max_grant_minor", "range",
			"the most that one decision may give must be 0 (the total of the sale) to %d minor units", money.MaxMinor)
	}
	if _, err := in.Manifest.Grant(in.AllowHosts, in.Hosts); err != nil {
		return err
	}
	return in.Manifest.CheckSettings(in.Settings)
}

// Install records an installation, in place of the merchant's one of the same
// name. Running servers take it up within a second; the one before it serves
// until the new one is ready. Errors: VALIDATION_FAILED, NOT_FOUND (the
// merchant), STATE_CONFLICT (another actuator decides one of its kinds).
func (s *Service) Install(ctx context.Context, in InstallInput) (installed actuation.Installation, replaced *actuation.Installation, err error) {
	if err := in.Validate(); err != nil {
		return installed, nil, err
	}
	hosts, err := in.Manifest.Grant(in.AllowHosts, in.Hosts)
	if err != nil {
		return installed, nil, err
	}
	m, err := s.Directory.Merchant(ctx, in.MerchantID)
	if err != nil {
		return installed, nil, err
	}
	installed = actuation.Installation{
		ID: s.IDs.Make("ins"), Tenant: m.Tenant(), Path: in.Path, SHA256: in.SHA256, Manifest: in.Manifest, Settings: in.Settings,
		MaxGrantMinor: in.MaxGrantMinor, Hosts: hosts, Shadow: in.Shadow, InstalledAt: s.Clock.Now(),
	}
	replaced, err = s.Store.Install(ctx, installed)
	return installed, replaced, err
}

// Uninstall ends the merchant's installation of name. What its live one had
// still to decide is decided by the platform's, or refused. Errors: NOT_FOUND.
func (s *Service) Uninstall(ctx context.Context, merchantID, name string, shadow bool) (actuation.Installation, error) {
	m, err := s.Directory.Merchant(ctx, merchantID)
	if err != nil {
		return actuation.Installation{}, err
	}
	return s.Store.Remove(ctx, m.Tenant(), name, shadow, s.Clock.Now())
}

// Host runs installations.
type Host interface {
	// Install makes what runs what is wanted; it returns at once.
	Install(want []actuation.Installation)
}

// Keeper keeps a host in step with the store. One goroutine uses it.
type Keeper struct {
	Store Store
	Host  Host
	Mode  tenancy.Mode // merchants of this mode are served

	given    bool
	revision int64 // that the host was last given
}

// Look gives the host what is installed, where that has changed.
func (k *Keeper) Look(ctx context.Context) error {
	revision, err := k.Store.Revision(ctx)
	if err != nil || (k.given && revision == k.revision) {
		return err
	}
	want, err := k.Store.Current(ctx, k.Mode)
	if err != nil {
		return err
	}
	k.Host.Install(want)
	k.given, k.revision = true, revision
	return nil
}
