package fault

// Code is a typed error code: the only thing a client branches on.
type Code string

// The codes, by HTTP status.
const (
	CodeValidationFailed          Code = "VALIDATION_FAILED"
	CodeUnsupportedAPIVersion     Code = "UNSUPPORTED_API_VERSION"
	CodeIdempotencyKeyMissing     Code = "IDEMPOTENCY_KEY_MISSING"
	CodeIdempotencyKeyInvalid     Code = "IDEMPOTENCY_KEY_INVALID"
	CodeUnsupportedCredentialType Code = "UNSUPPORTED_CREDENTIAL_TYPE"
	CodeUnsupportedCurrency       Code = "UNSUPPORTED_CURRENCY"
	CodeCurrencyMismatch          Code = "CURRENCY_MISMATCH"
	CodeCursorInvalid             Code = "CURSOR_INVALID"

	CodeUnauthenticated  Code = "UNAUTHENTICATED"
	CodeAPIKeyRevoked    Code = "API_KEY_REVOKED"
	CodeTokenExpired     Code = "TOKEN_EXPIRED"
	CodeTokenRevoked     Code = "TOKEN_REVOKED"
	CodeSignatureInvalid Code = "SIGNATURE_INVALID"

	CodeInsufficientFunds Code = "INSUFFICIENT_FUNDS"

	CodeScopeInsufficient     Code = "SCOPE_INSUFFICIENT"
	CodeMerchantNotAuthorized Code = "MERCHANT_NOT_AUTHORIZED"
	CodeOperatorRequired      Code = "OPERATOR_REQUIRED"
	CodeIdentityProbationary  Code = "IDENTITY_PROBATIONARY"
	CodeConsentRequired       Code = "CONSENT_REQUIRED"

	CodeNotFound             Code = "NOT_FOUND"
	CodeMethodNotAllowed     Code = "METHOD_NOT_ALLOWED"
	CodeBodyTooLarge         Code = "BODY_TOO_LARGE"
	CodeUnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"

	CodeIdempotencyKeyReused    Code = "IDEMPOTENCY_KEY_REUSED"
	CodeIdempotencyInProgress   Code = "IDEMPOTENCY_IN_PROGRESS"
	CodeStateConflict           Code = "STATE_CONFLICT"
	CodeRevisionConflict        Code = "REVISION_CONFLICT"
	CodeDuplicateReference      Code = "DUPLICATE_REFERENCE"
	CodeCredentialAlreadyLinked Code = "CREDENTIAL_ALREADY_LINKED"

	CodeCredentialExpired Code = "CREDENTIAL_EXPIRED"
	CodeCredentialUsed    Code = "CREDENTIAL_USED"
	CodeSessionEnded      Code = "SESSION_ENDED"
	CodeOfferExpired      Code = "OFFER_EXPIRED"

	CodeOfferNotEligible     Code = "OFFER_NOT_ELIGIBLE"
	CodeOfferLimitReached    Code = "OFFER_LIMIT_REACHED"
	CodeBudgetExhausted      Code = "BUDGET_EXHAUSTED"
	CodeAmountOutOfRange     Code = "AMOUNT_OUT_OF_RANGE"
	CodeTendersMismatch      Code = "TENDERS_MISMATCH"
	CodeVerificationFailed   Code = "VERIFICATION_FAILED"
	CodeGrantNotClawbackable Code = "GRANT_NOT_CLAWBACKABLE"
	CodeRefundExceedsPayment Code = "REFUND_EXCEEDS_PAYMENT"

	CodeRateLimited       Code = "RATE_LIMITED"
	CodeAttemptsExhausted Code = "ATTEMPTS_EXHAUSTED"
	CodeOverloaded        Code = "OVERLOADED"

	CodeInternal            Code = "INTERNAL"
	CodeNotImplemented      Code = "NOT_IMPLEMENTED"
	CodeSubsystemDegraded   Code = "SUBSYSTEM_DEGRADED"
	CodeActuatorUnavailable Code = "ACTUATOR_UNAVAILABLE"
	CodeDeadlineExceeded    Code = "DEADLINE_EXCEEDED"
)

// Meaning is what every surface needs to know of a code.
type Meaning struct {
	Status    int  // the HTTP status on the Feddi surface
	Retryable bool // the same intention may succeed later
	// NewKey is true where a retry needs a new Idempotency-Key, because the
	// failure is a pinned outcome.
	NewKey bool
	// What says in a line what it means, for the error reference.
	What string
}

var meanings = map[Code]Meaning{
	CodeValidationFailed:          {400, false, false, "The request breaks the contract; details name each field and rule."},
	CodeUnsupportedAPIVersion:     {400, false, false, "meta.api_version names a version this server does not speak."},
	CodeIdempotencyKeyMissing:     {400, false, false, "A state-changing call came without an Idempotency-Key header."},
	CodeIdempotencyKeyInvalid:     {400, false, false, "The Idempotency-Key header is not a UUID."},
	CodeUnsupportedCredentialType: {400, false, false, "The credential_type is not enabled here; GET /capabilities lists those that are."},
	CodeUnsupportedCurrency:       {400, false, false, "The currency is not enabled here; GET /capabilities lists those that are."},
	CodeCurrencyMismatch:          {400, false, false, "The currency differs from that of the session, wallet or offer."},
	CodeCursorInvalid:             {400, false, false, "The cursor was not issued for this list."},

	CodeUnauthenticated:  {401, false, false, "No credential, or one that this server does not know."},
	CodeAPIKeyRevoked:    {401, false, false, "The API key was revoked; use its successor."},
	CodeTokenExpired:     {401, false, false, "The terminal token is past its 600 seconds; exchange the key again."},
	CodeTokenRevoked:     {401, false, false, "The terminal token or its key was revoked."},
	CodeSignatureInvalid: {401, false, false, "The signature does not match the body."},

	CodeInsufficientFunds: {402, true, true, "The spendable balance is short; nothing was debited; recovery lists ways out."},

	CodeScopeInsufficient:     {403, false, false, "The credential may not do this; the message says which is needed."},
	CodeMerchantNotAuthorized: {403, false, false, "The credential is not authorised for this merchant."},
	CodeOperatorRequired:      {403, false, false, "The operation needs a key with operator authority."},
	CodeIdentityProbationary:  {403, false, false, "The identity is not proven yet; money needs a verified phone."},
	CodeConsentRequired:       {403, false, false, "The customer has not consented to this."},

	CodeNotFound:             {404, false, false, "No such resource or route for this credential."},
	CodeMethodNotAllowed:     {405, false, false, "The path exists, not with this method."},
	CodeBodyTooLarge:         {413, false, false, "The body is over 1 MiB."},
	CodeUnsupportedMediaType: {415, false, false, "The body must be application/json."},

	CodeIdempotencyKeyReused:    {409, false, false, "The same Idempotency-Key came with another payload."},
	CodeIdempotencyInProgress:   {409, true, false, "The first call with this key is still running; repeat with the same key."},
	CodeStateConflict:           {409, false, false, "The resource is in a state that does not allow this."},
	CodeRevisionConflict:        {409, false, false, "The resource moved on; details hold the current revision."},
	CodeDuplicateReference:      {409, false, false, "The reference is taken by another resource."},
	CodeCredentialAlreadyLinked: {409, false, false, "The credential belongs to another customer."},

	CodeCredentialExpired: {410, false, false, "The code is past its time; mint a new one."},
	CodeCredentialUsed:    {410, false, false, "The single-use code was spent; mint a new one."},
	CodeSessionEnded:      {410, false, false, "The session is closed, abandoned or expired."},
	CodeOfferExpired:      {410, false, false, "The offer is past its window."},

	CodeOfferNotEligible:     {422, false, false, "The offer does not fit this basket and customer; the message says why."},
	CodeOfferLimitReached:    {422, false, false, "The offer's limit is used up."},
	CodeBudgetExhausted:      {422, false, false, "The budget behind it is used up."},
	CodeAmountOutOfRange:     {422, false, false, "The amount is outside what is allowed here."},
	CodeTendersMismatch:      {422, false, false, "The tenders do not add up to the total."},
	CodeVerificationFailed:   {422, false, false, "The code or token is wrong; details say how many attempts are left."},
	CodeGrantNotClawbackable: {422, false, false, "The grant has nothing left to claw back."},
	CodeRefundExceedsPayment: {422, false, false, "The refund is more than what is left of the payment."},

	CodeRateLimited:       {429, true, false, "Too many requests; wait for Retry-After."},
	CodeAttemptsExhausted: {429, true, false, "Too many wrong attempts; wait for Retry-After or ask for a new code."},
	CodeOverloaded:        {429, true, false, "The queue is full; wait for Retry-After."},

	CodeInternal:            {500, false, false, "A defect on our side; nothing was changed; quote the request id."},
	CodeNotImplemented:      {501, false, false, "The operation is planned and not mounted yet."},
	CodeSubsystemDegraded:   {503, true, false, "A part of the system is down; nothing was changed; retry with the same key."},
	CodeActuatorUnavailable: {503, true, false, "A required actuator does not answer; nothing was changed; retry with the same key."},
	CodeDeadlineExceeded:    {504, true, false, "The time ran out; the outcome is safe to ask for again with the same key."},
}

// MeaningOf returns what code means; an unknown code means Internal.
func MeaningOf(code Code) Meaning {
	if m, ok := meanings[code]; ok {
		return m
	}
	return meanings[CodeInternal]
}

// Known reports whether c is a code of the contract.
func (c Code) Known() bool {
	_, known := meanings[c]
	return known
}

// Codes lists every code with its meaning; for documentation and tests. The
// caller owns the map.
func Codes() map[Code]Meaning {
	out := make(map[Code]Meaning, len(meanings))
	for c, m := range meanings {
		out[c] = m
	}
	return out
}
