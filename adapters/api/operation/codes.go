package operation

import (
	"net/http"
	"slices"

	"github.com/feddi/feddi/core/fault"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
)

// Codes lists every error code that the operation can answer with: those of
// every operation of its kind, and its own. Sorted by status, then by name.
func (o *Operation) Codes() []fault.Code {
	codes := []fault.Code{fault.CodeInternal, fault.CodeDeadlineExceeded}
	if o.Options.GetRaw() {
		return codes
	}
	codes = append(codes, fault.CodeValidationFailed)
	if o.Planned() {
		codes = append(codes, fault.CodeNotImplemented)
	}
	if o.Method != http.MethodGet {
		codes = append(codes, fault.CodeBodyTooLarge, fault.CodeUnsupportedMediaType)
	}
	if o.Options.GetIdempotent() {
		codes = append(codes, fault.CodeIdempotencyKeyMissing, fault.CodeIdempotencyKeyInvalid, fault.CodeIdempotencyKeyReused, fault.CodeIdempotencyInProgress)
	}
	codes = append(codes, o.credentialCodes()...)
	for _, code := range o.Options.GetErrors() {
		codes = append(codes, fault.Code(code))
	}
	slices.SortFunc(codes, func(a, b fault.Code) int {
		if d := fault.MeaningOf(a).Status - fault.MeaningOf(b).Status; d != 0 {
			return d
		}
		if a < b {
			return -1
		}
		return 1
	})
	return slices.Compact(codes)
}

// credentialCodes are the codes of who calls and for whom.
func (o *Operation) credentialCodes() []fault.Code {
	if o.Signed() {
		return []fault.Code{fault.CodeSignatureInvalid, fault.CodeSubsystemDegraded}
	}
	if o.Public() {
		if o.Options.GetIdempotent() {
			return []fault.Code{fault.CodeUnsupportedAPIVersion, fault.CodeRateLimited, fault.CodeSubsystemDegraded}
		}
		return nil
	}
	codes := []fault.Code{fault.CodeUnsupportedAPIVersion, fault.CodeUnauthenticated, fault.CodeRateLimited, fault.CodeSubsystemDegraded}
	key, terminal := o.Takes(optionsv1.Credential_CREDENTIAL_KEY), o.Takes(optionsv1.Credential_CREDENTIAL_TERMINAL)
	placed := o.Input.Fields().ByName("context") != nil
	if placed || !key || !terminal || o.Options.GetPlatformScope() || o.Options.GetSandboxOnly() {
		codes = append(codes, fault.CodeScopeInsufficient) // the wrong kind, or another place than the credential's
	}
	if placed || key && o.Input.Fields().ByName("merchant_id") != nil {
		codes = append(codes, fault.CodeMerchantNotAuthorized)
	}
	if key {
		codes = append(codes, fault.CodeAPIKeyRevoked)
	}
	if terminal {
		codes = append(codes, fault.CodeTokenExpired, fault.CodeTokenRevoked)
	}
	if o.Options.GetOperator() {
		codes = append(codes, fault.CodeOperatorRequired)
	}
	if slices.ContainsFunc(o.Segments, func(s Segment) bool { return s.Field != nil }) || placed && key { // a terminal's place is its token's
		codes = append(codes, fault.CodeNotFound)
	}
	return codes
}

// Domain is the name of the operation's domain, for example "checkout_session"
// for CheckoutSessionService.
func (o *Operation) Domain() string {
	var out []byte
	for i, c := range []byte(o.Service[:len(o.Service)-len("Service")]) {
		if c >= 'A' && c <= 'Z' {
			if i > 0 {
				out = append(out, '_')
			}
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out)
}
