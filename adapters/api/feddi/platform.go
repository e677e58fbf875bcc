package feddi

import (
	"context"
	"net/http"

	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/tenancy"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// Health is the state of the server as its background probes last found it.
type Health struct {
	// Ready is true once the server can do all it must: migrations are done, the
	// required actuators answer, the database is there, and it is not draining.
	Ready bool
	// Degraded names the subsystems that are out, for example "database".
	Degraded []string
}

// Probe knows the health of the server. It answers from memory, at once: GET
// /health must work while everything else does not.
type Probe interface{ Health() Health }

// Loaded knows the actuators that serve a merchant: the platform's, and those of
// its own that are no shadows. An empty merchant has none of its own.
type Loaded interface {
	LoadedFor(merchantID string) []actuation.Status
}

// PlatformDeps are what the platform domain needs, identify apart.
type PlatformDeps struct {
	Directory tenancy.Directory
	Actuators Loaded
	Probe     Probe
	// Version is the build of the server.
	Version string
	// APIVersions are the contract versions that may be pinned, newest first.
	APIVersions []string
}

// platformAPI answers PlatformService.
type platformAPI struct {
	PlatformDeps
	registry *pipeline.Registry
}

// RegisterPlatform mounts health and capabilities. getOpenApiSpec is the
// server's own (package api), identify a use case of identity.
func RegisterPlatform(reg *pipeline.Registry, d PlatformDeps) {
	a := platformAPI{d, reg}
	pipeline.Handle(reg, partnerv1connect.PlatformServiceGetHealthProcedure, a.health)
	pipeline.Handle(reg, partnerv1connect.PlatformServiceGetCapabilitiesProcedure, a.capabilities, pipeline.AnyMerchant())
}

// health answers 503 with the same data where the server is not ready.
func (a platformAPI) health(_ context.Context, call *app.Call, _ *partnerv1.GetHealthRequest) (*partnerv1.GetHealthResponse, error) {
	h := a.Probe.Health()
	res := &partnerv1.GetHealthResponse{Status: "ok", DegradedSubsystems: h.Degraded, Version: a.Version}
	if len(h.Degraded) > 0 || !h.Ready {
		res.Status = "degraded"
	}
	if !h.Ready {
		pipeline.SetStatus(call, http.StatusServiceUnavailable)
	}
	return res, nil
}

// capabilities lists what is really mounted, and what this credential may do
// with it (rule 53).
func (a platformAPI) capabilities(ctx context.Context, call *app.Call, _ *partnerv1.GetCapabilitiesRequest) (*partnerv1.GetCapabilitiesResponse, error) {
	res := &partnerv1.GetCapabilitiesResponse{
		Mode: string(call.Actor.Mode), IntegrationId: call.Actor.PartnerID, MerchantIds: call.Actor.Merchants, ApiVersions: a.APIVersions,
		Operations: a.operations(call.Actor), Actuators: actuators(a.Actuators.LoadedFor(call.Tenant.MerchantID)),
	}
	settings, err := a.settings(ctx, call)
	if err != nil {
		return nil, err
	}
	res.Currencies, res.SupportedCredentialTypes = settings.Currencies, settings.CredentialTypes
	res.FeatureFlags = map[string]bool{
		"sandbox_codes":     call.Sandbox(),
		"terminal_may_mint": call.Sandbox() || settings.TerminalMayMint,
		"cashback":          settings.CashbackBP > 0,
	}
	return res, nil
}

// settings are those of the call's merchant; where none is named, all that a
// merchant could enable here.
func (a platformAPI) settings(ctx context.Context, call *app.Call) (tenancy.Settings, error) {
	if call.Tenant.MerchantID == "" {
		return tenancy.Settings{Currencies: tenancy.Currencies(), CredentialTypes: tenancy.CredentialTypes()}, nil
	}
	m, err := a.Directory.Merchant(ctx, call.Tenant.MerchantID)
	return m.Settings, err
}

func (a platformAPI) operations(actor tenancy.Actor) []*partnerv1.CapabilityOperation {
	var out []*partnerv1.CapabilityOperation
	for _, op := range a.registry.Operations() {
		row := &partnerv1.CapabilityOperation{
			OperationId: op.ID, Method: op.Method, Path: op.PublicPath(), Maturity: op.Maturity(),
			Callable: pipeline.Permit(op, actor) == nil, Needs: op.Needs(),
		}
		if op.Stream != nil {
			row.Stream = &op.Stream.Procedure
		}
		out = append(out, row)
	}
	return out
}

func actuators(all []actuation.Status) []*partnerv1.CapabilityActuator {
	out := make([]*partnerv1.CapabilityActuator, 0, len(all))
	for _, s := range all {
		row := &partnerv1.CapabilityActuator{
			Name: s.Manifest.Name, Version: s.Manifest.Version, State: string(s.State), Policy: string(s.Manifest.Policy),
		}
		if s.State == actuation.StateFailed || s.State == actuation.StateStopped {
			row.State = string(actuation.StateDegraded) // to a partner it is out, whatever the supervisor does
		}
		for _, k := range s.Manifest.DecisionKinds {
			row.DecisionKinds = append(row.DecisionKinds, string(k))
		}
		out = append(out, row)
	}
	return out
}
