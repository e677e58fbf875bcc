package pipeline

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/google/uuid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"

	"github.com/feddi/feddi/adapters/api/operation"
	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
)

// Headers of the partner surface.
const (
	HeaderKey         = "X-Api-Key"
	HeaderIdempotency = "Idempotency-Key"
	HeaderVersion     = "Feddi-Api-Version"
	HeaderReplayed    = "Idempotency-Replayed"
	HeaderRequestID   = "X-Request-Id"
	HeaderTraceID     = "Feddi-Decision-Trace-Id"
)

// authenticate finds out who calls. Where both credentials were sent, the
// token counts. An operation that needs none ignores what was sent.
func (p *Pipeline) authenticate(ctx context.Context, x *Exchange) (err error) {
	op := x.Handler.Op
	if op.Public() || op.Signed() {
		x.Call.Actor = tenancy.Actor{Kind: tenancy.NoCredential, Mode: p.Registry.Mode()}
		return nil
	}
	if authorization := x.Header.Get("Authorization"); authorization != "" {
		scheme, token, _ := strings.Cut(authorization, " ")
		if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
			return fault.Field(fault.CodeUnauthenticated, "Authorization", "bearer", "the Authorization header must be: Bearer <terminal token>")
		}
		x.Call.Actor, err = p.Auth.Terminal(ctx, token)
	} else if key := x.Header.Get(HeaderKey); key != "" {
		x.Call.Actor, err = p.Auth.Key(ctx, key)
	} else {
		return fault.New(fault.CodeUnauthenticated, "no credential was sent; this operation takes: %s", op.Needs())
	}
	x.Call.Tenant = tenancy.Tenant{PartnerID: x.Call.Actor.PartnerID, Mode: x.Call.Actor.Mode}
	return err
}

// limit takes one permit of the caller's budget: of the key, or of the address
// for what creates something without a credential.
func (p *Pipeline) limit(x *Exchange) error {
	var key string
	switch {
	case x.Call.Actor.KeyID != "":
		key = KeyLimit + x.Call.Actor.KeyID
	case x.Handler.Op.Public() && x.Handler.Op.Options.GetIdempotent():
		key = SandboxLimit + address(x.RemoteAddr)
	default:
		return nil
	}
	if ok, after := p.Limits.Allow(key); !ok {
		return fault.New(fault.CodeRateLimited, "too many requests; wait for as many seconds as Retry-After says").After(after)
	}
	return nil
}

// address is the caller's network address without its port.
func address(remote string) string {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	return remote
}

// idempotencyKey reads the header, which must be one UUID.
func idempotencyKey(header http.Header) (string, error) {
	values := header.Values(HeaderIdempotency)
	if len(values) == 0 || values[0] == "" {
		return "", fault.Field(fault.CodeIdempotencyKeyMissing, HeaderIdempotency, "required",
			"send a fresh UUID in the Idempotency-Key header, and the same one again when you retry this call")
	}
	if len(values) > 1 || len(values[0]) != 36 || uuid.Validate(values[0]) != nil {
		return "", fault.Field(fault.CodeIdempotencyKeyInvalid, HeaderIdempotency, "uuid",
			"the Idempotency-Key header must be one UUID, for example 7f6f2e7c-3c1b-4f6e-9a44-0d5a1c0b8f11")
	}
	return strings.ToLower(values[0]), nil
}

// Permit says whether actor's credential may call op at all; nil means yes.
// GET /capabilities asks it for every operation.
func Permit(op *operation.Operation, actor tenancy.Actor) *fault.Error {
	switch {
	case op.Public() || op.Signed():
		return nil
	case op.Options.GetSandboxOnly() && actor.Mode != tenancy.Sandbox:
		return fault.New(fault.CodeScopeInsufficient, "only sandbox credentials may call this operation")
	case op.Options.GetOperator() && !actor.Operator:
		return fault.New(fault.CodeOperatorRequired, "this operation needs an API key with operator authority")
	case actor.Kind == tenancy.TerminalCall && !op.Takes(optionsv1.Credential_CREDENTIAL_TERMINAL):
		return fault.New(fault.CodeScopeInsufficient, "this operation needs an API key in x-api-key, not a terminal token")
	case actor.Kind == tenancy.KeyCall && !op.Takes(optionsv1.Credential_CREDENTIAL_KEY):
		return fault.New(fault.CodeScopeInsufficient, "this operation needs a terminal token; exchange your key for one at POST /auth/token")
	case op.Options.GetPlatformScope():
		return permitPlatform(actor)
	}
	return nil
}

// permitPlatform demands platform scope. A sandbox is an integration of its own
// to whoever made it, so there the operator of one of its merchants will do.
func permitPlatform(actor tenancy.Actor) *fault.Error {
	switch {
	case actor.Scope == tenancy.ScopePlatform:
		return nil
	case actor.Mode != tenancy.Sandbox:
		return fault.New(fault.CodeScopeInsufficient, "this operation needs a platform-scoped API key")
	case actor.Scope != tenancy.ScopeEnterprise:
		return fault.New(fault.CodeScopeInsufficient, "this operation needs a platform-scoped API key or, in the sandbox, an enterprise-scoped one with operator authority")
	case !actor.Operator:
		return fault.New(fault.CodeOperatorRequired, "in the sandbox this operation needs a platform-scoped API key, or an enterprise-scoped one with operator authority")
	}
	return nil
}
