package pipeline

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/feddi/feddi/adapters/api/operation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

func catalogue(t *testing.T) *operation.Catalogue {
	t.Helper()
	c, err := operation.Load(protoregistry.GlobalFiles, "feddi.partner.v1")
	if err != nil {
		t.Fatal(err)
	}
	reserve(t, c, "refundCreate")
	return c
}

// reserve makes an operation of c planned, whatever the contract says of it by now.
func reserve(t *testing.T, c *operation.Catalogue, id string) {
	t.Helper()
	for _, o := range c.All {
		if options, ok := proto.Clone(o.Options).(*optionsv1.Operation); ok && o.ID == id {
			options.Maturity = optionsv1.Maturity_MATURITY_PLANNED
			o.Options = options
			return
		}
	}
	t.Fatalf("no operation %s", id)
}

func health(context.Context, *app.Call, *partnerv1.GetHealthRequest) (*partnerv1.GetHealthResponse, error) {
	return &partnerv1.GetHealthResponse{}, nil
}

func sandbox(context.Context, *app.Call, *partnerv1.CreateSandboxCredentialsRequest) (*partnerv1.CreateSandboxCredentialsResponse, error) {
	return &partnerv1.CreateSandboxCredentialsResponse{}, nil
}

func TestRegistrationMistakes(t *testing.T) {
	t.Parallel()
	r := NewRegistry(catalogue(t), tenancy.Sandbox)
	Handle(r, partnerv1connect.PlatformServiceGetHealthProcedure, health)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	Handle(r, partnerv1connect.PlatformServiceGetHealthProcedure, health)
	Handle(r, "/feddi.partner.v1.PlatformService/Nothing", health)
	Handle(r, partnerv1connect.PlatformServiceIdentifyProcedure, health)
	Handle(r, partnerv1connect.PaymentsServiceRefundCreateProcedure, health)
	for _, want := range []string{"getHealth has two handlers", "no operation has the procedure", "identify takes feddi.partner.v1.IdentifyRequest", "refundCreate has a handler but is planned"} {
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", r.Err(), want)
		}
	}
	if _, err := New(Config{Registry: r, ServerKey: []byte("short")}); err == nil || !strings.Contains(err.Error(), "32 bytes") || !strings.Contains(err.Error(), "Config.Auth") {
		t.Errorf("%v", err)
	}
}

func TestSandboxOperationsAreNotMountedInProduction(t *testing.T) {
	t.Parallel()
	for mode, want := range map[tenancy.Mode]int{tenancy.Sandbox: 2, tenancy.Production: 1} {
		r := NewRegistry(catalogue(t), mode)
		Handle(r, partnerv1connect.PlatformServiceGetHealthProcedure, health)
		Handle(r, partnerv1connect.AuthServiceCreateSandboxCredentialsProcedure, sandbox)
		if got := r.Operations(); len(got) != want || r.Err() != nil {
			t.Errorf("%s: %d operations, %v", mode, len(got), r.Err())
		}
		if missing := r.Missing(); slices.Contains(missing, "getHealth") || !slices.Contains(missing, "paymentAuthorize") || slices.Contains(missing, "refundCreate") {
			t.Errorf("missing: %v", missing)
		}
	}
}

// Permit agrees with what every operation of the contract says it needs.
func TestPermit(t *testing.T) {
	t.Parallel()
	key := tenancy.Actor{Kind: tenancy.KeyCall, Scope: tenancy.ScopeEnterprise, Mode: tenancy.Production}
	terminal := tenancy.Actor{Kind: tenancy.TerminalCall, Scope: tenancy.ScopeBranch, Mode: tenancy.Production}
	operator, platform := key, key
	operator.Operator = true
	platform.Scope = tenancy.ScopePlatform
	allowed := map[string][]bool{ // key, terminal, operator key, platform key
		"none": {true, true, true, true}, "provider_signature": {true, true, true, true},
		"key": {true, false, true, true}, "terminal": {false, true, false, false}, "key|terminal": {true, true, true, true},
		"operator_key": {false, false, true, false}, "platform_key": {false, false, false, true},
	}
	for _, op := range catalogue(t).All {
		want, known := allowed[op.Needs()]
		if !known {
			t.Errorf("%s needs %s", op.ID, op.Needs())
			continue
		}
		for i, actor := range []tenancy.Actor{key, terminal, operator, platform} {
			if got := Permit(op, actor); (got == nil) != want[i] {
				t.Errorf("%s with credential %d: %v", op.ID, i, got)
			} else if got != nil && fault.MeaningOf(got.Code).Status != http.StatusForbidden {
				t.Errorf("%s: %v", op.ID, got)
			}
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:1234": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[fe80::1%eth0]:80": "fe80::1", "pipe": "pipe",
	} {
		if got := address(remote); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code fault.Code
		wait time.Duration
		want int
	}{
		{fault.CodeRateLimited, 0, 1}, {fault.CodeRateLimited, 1001 * time.Millisecond, 2}, {fault.CodeSubsystemDegraded, time.Minute, 60},
		{fault.CodeActuatorUnavailable, 0, 1}, {fault.CodeNotFound, time.Minute, 0}, {fault.CodeDeadlineExceeded, 0, 0},
	} {
		if got := RetryAfter(fault.New(c.code, "x").After(c.wait)); got != c.want {
			t.Errorf("%s after %s: %d, want %d", c.code, c.wait, got, c.want)
		}
	}
}
