package identities

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
)

// SignalsEngine names what weighs signals, and its version.
const SignalsEngine = "identity/1"

// KindResolution is the kind of the traces of ResolveSeveral.
const KindResolution = "identity"

// SeveralInput are the signals to resolve at once, at most 10.
type SeveralInput struct{ Credentials []identity.Credential }

// Validate checks that none is given twice: it would count for more than it is.
func (in SeveralInput) Validate() error {
	seen := map[identity.Credential]bool{}
	for i, c := range in.Credentials {
		if seen[c] {
			return fault.Field(fault.CodeValidationFailed, fmt.Sprintf("credentials[%d]", i), "unique", "each credential is given once; leave the repetition out")
		}
		seen[c] = true
	}
	return nil
}

// Several is what the signals came to.
type Several struct {
	Verdict identity.Verdict
	Signals []identity.Signal // in the order given
	Masked  []string          // their values, masked
	Context *CustomerContext  // nil unless resolved
	TraceID string
}

// Facts are what the verdict rests on, a JSON object.
func (s Several) Facts() json.RawMessage {
	agreeing, conflicting := 0, 0
	for i, signal := range s.Signals {
		switch {
		case s.Verdict.Conflicting[i]:
			conflicting++
		case signal.State == identity.SignalKnown:
			agreeing++
		}
	}
	return fmt.Appendf(nil, `{"signals":%d,"agreeing":%d,"conflicting":%d}`, len(s.Signals), agreeing, conflicting)
}

// ResolveSeveral resolves several signals at once to one identity. Nothing is
// used up or bound, and the answer holds nothing that can be spent (rules 1, 2
// and 7). A code that has ended counts for nothing and is no error. Each short
// code that nobody has counts as a guess.
// Errors: UNSUPPORTED_CREDENTIAL_TYPE, VALIDATION_FAILED, ATTEMPTS_EXHAUSTED.
func (s *Service) ResolveSeveral(ctx context.Context, call *app.Call, in SeveralInput) (Several, error) {
	if err := in.Validate(); err != nil {
		return Several{}, err
	}
	now := s.Clock.Now()
	for i, c := range in.Credentials {
		if err := s.Guesses.Take(call, c, now); err != nil {
			s.giveBack(call, in.Credentials[:i], nil)
			return Several{}, named(err, i)
		}
	}
	out, err := app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Several, error) {
		return s.resolveSeveral(ctx, st, call, in, now)
	})
	if err != nil {
		out.Signals = nil // nothing was judged: no guess counts
	}
	s.giveBack(call, in.Credentials, out.Signals)
	return out, err
}

// giveBack gives back the guesses at codes that exist, or all where nothing was
// judged.
func (s *Service) giveBack(call *app.Call, credentials []identity.Credential, judged []identity.Signal) {
	for i, c := range credentials {
		if judged == nil || judged[i].State != identity.SignalUnknown {
			s.Guesses.Return(call, c)
		}
	}
}

func (s *Service) resolveSeveral(ctx context.Context, st app.Stores, call *app.Call, in SeveralInput, now time.Time) (Several, error) {
	out := Several{TraceID: s.IDs.Make(ids.Trace)}
	found := map[string]identity.Resolution{}
	for i, c := range in.Credentials {
		r, signal, err := s.signal(ctx, st, call, c, now)
		if err != nil {
			return out, named(err, i)
		}
		if r.Customer != nil {
			found[r.Customer.ID] = r
		}
		out.Signals, out.Masked = append(out.Signals, signal), append(out.Masked, s.masked(ctx, call, c))
	}
	out.Verdict = identity.Weigh(out.Signals)
	if out.Verdict.Status == identity.VerdictResolved {
		r := found[out.Verdict.CustomerID]
		r.Probationary = out.Verdict.Probationary
		c, err := s.ContextFor(ctx, st, r, now)
		if err != nil {
			return out, err
		}
		out.Context = &c
	}
	return out, s.trace(ctx, st, call, out, now)
}

// signal is what one credential says.
func (s *Service) signal(ctx context.Context, st app.Stores, call *app.Call, c identity.Credential, now time.Time) (identity.Resolution, identity.Signal, error) {
	out := identity.Signal{Type: c.Type, State: identity.SignalUnknown, CustomerIDs: []string{}}
	r, err := s.Resolve(ctx, st, call.Tenant, c, now)
	switch {
	case fault.Is(err, fault.CodeCredentialExpired):
		out.State = identity.SignalExpired
		return r, out, nil
	case fault.Is(err, fault.CodeCredentialUsed):
		out.State = identity.SignalUsed
		return r, out, nil
	case err != nil:
		return r, out, err
	case r.Colliding:
		out.State = identity.SignalColliding
		matches, err := st.Identity.Matches(ctx, call.Tenant, c)
		for _, m := range matches {
			out.CustomerIDs = append(out.CustomerIDs, m.Customer.ID)
		}
		return r, out, err
	case r.Customer != nil:
		out.State, out.CustomerIDs = identity.SignalKnown, []string{r.Customer.ID}
		out.Proven = r.Customer.State == identity.Verified
	}
	return r, out, nil
}

// masked hides the value; a phone in the form it is kept in.
func (s *Service) masked(ctx context.Context, call *app.Call, c identity.Credential) string {
	if c.Type == identity.Phone {
		if m, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID); err == nil {
			if phone, err := s.Phones.E164(c.Value, m.Settings.Country); err == nil {
				c.Value = phone
			}
		}
	}
	return c.Masked()
}

// named makes an error about "credential" one about the i-th.
func named(err error, i int) error {
	e := fault.As(err)
	if e == nil || len(e.Details) == 0 {
		return err
	}
	c := *e
	c.Details = append([]fault.Detail(nil), e.Details...)
	for n, d := range c.Details {
		if rest, ok := strings.CutPrefix(d.Field, "credential."); ok {
			c.Details[n].Field = fmt.Sprintf("credentials[%d].%s", i, rest)
		}
	}
	return &c
}

// trace keeps what was weighed: ids, never a value.
func (s *Service) trace(ctx context.Context, st app.Stores, call *app.Call, out Several, now time.Time) error {
	inputs, err := json.Marshal(out.Signals)
	if err != nil {
		return err
	}
	inputs = append(append([]byte(`{"signals":`), inputs...), '}')
	outputs, err := Reweigh(ctx, inputs)
	if err != nil {
		return err
	}
	return st.Decisions.SaveTrace(ctx, decision.Trace{
		ID: out.TraceID, Tenant: call.Tenant, Kind: KindResolution, CustomerID: out.Verdict.CustomerID, Engine: SignalsEngine,
		Inputs: inputs, Outputs: outputs, At: now,
	}, nil, nil)
}

// Reweigh is the engine of the trace: it weighs the signals again.
func Reweigh(_ context.Context, inputs json.RawMessage) (json.RawMessage, error) {
	var in struct {
		Signals []identity.Signal `json:"signals"`
	}
	if err := json.Unmarshal(inputs, &in); err != nil {
		return nil, err
	}
	return json.Marshal(identity.Weigh(in.Signals))
}
