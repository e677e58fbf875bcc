package sdktest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/handshake"
	"github.com/feddi/feddi/plugins/sdk/sdktest"
)

// debtor is an actuator whose faults can be chosen.
type debtor struct {
	plan    func(*debtor, context.Context, sdk.Snapshot) (sdk.Plan, error)
	execute func(*debtor, sdk.Command) (sdk.Receipt, error)
	limit   time.Duration // its time limit; 0 means 2 s
	calls   *atomic.Int64
}

func (d debtor) Describe() sdk.Manifest {
	m := sdk.Manifest{
		Name: "debtor", Version: "1.0.0", DecisionKinds: []sdk.Kind{sdk.KindCashback}, EffectKinds: []sdk.EffectKind{sdk.EffectGrant},
		TimeLimit: 2 * time.Second, Policy: sdk.Optional,
	}
	if d.limit > 0 {
		m.TimeLimit = d.limit
	}
	if d.execute != nil {
		m.CommandKinds = []string{"sms.send"}
	}
	return m
}

func (d debtor) Plan(ctx context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	return d.plan(&d, ctx, s)
}

func (d debtor) Execute(_ context.Context, c sdk.Command) (sdk.Receipt, error) {
	return d.execute(&d, c)
}

// grant is a right plan, or a refusal where nothing is allowed.
func grant(s sdk.Snapshot, amount int64, expires time.Time) sdk.Plan {
	reasoning := sdk.Reasoning{Summary: "A gift.", Rule: "gift"}
	if s.CustomerID == "" || amount <= 0 {
		return sdk.Plan{Refusal: "nothing", Reasoning: reasoning}
	}
	e := s.Grant("OFFER", amount)
	e.ExpiresAt = expires
	return sdk.Plan{Effects: []sdk.Effect{e}, Reasoning: reasoning}
}

// cases are faulty actuators, each with what the suite must say about it; and
// a sound one.
var cases = map[string]struct {
	debtor debtor
	says   string
}{
	"sound": {debtor{plan: func(_ *debtor, _ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
		return grant(s, s.Allowance.MaxGrantMinor, s.At.AddDate(0, 1, 0)), nil
	}}, ""},
	"generous": {debtor{plan: func(_ *debtor, _ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
		return grant(s, s.Allowance.MaxGrantMinor+1, time.Time{}), nil
	}}, "breaks rule allowance"},
	"clock": {debtor{plan: func(_ *debtor, _ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
		return grant(s, s.Allowance.MaxGrantMinor, time.Now().AddDate(0, 1, 0)), nil
	}}, "does the actuator read a clock"},
	"memory": {debtor{plan: func(d *debtor, _ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
		p := grant(s, s.Allowance.MaxGrantMinor, time.Time{})
		p.Reasoning.Summary = fmt.Sprint("Gift number ", d.calls.Add(1))
		return p, nil
	}}, "asked again, the plan differs"},
	"strict": {debtor{plan: func(_ *debtor, _ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
		decoder := json.NewDecoder(bytes.NewReader(s.Settings))
		decoder.DisallowUnknownFields()
		var into struct {
			BP   int `json:"cashback_bp"`
			Days int `json:"cashback_expiry_days"`
		}
		if err := decoder.Decode(&into); err != nil {
			return sdk.Plan{}, err
		}
		return grant(s, s.Allowance.MaxGrantMinor, time.Time{}), nil
	}}, "given unknown fields and members"},
	"helpless": {debtor{plan: func(*debtor, context.Context, sdk.Snapshot) (sdk.Plan, error) {
		return sdk.Plan{}, &sdk.Error{Code: sdk.CodeInvalidSettings, Message: "none"}
	}}, "give some with sdktest.Snapshots"},
	"dies": {debtor{plan: func(_ *debtor, _ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
		if len(s.Lots) > 1000 {
			os.Exit(7)
		}
		return grant(s, s.Allowance.MaxGrantMinor, time.Time{}), nil
	}}, ""},
	"slow": {debtor{limit: 5 * time.Millisecond, plan: func(_ *debtor, ctx context.Context, s sdk.Snapshot) (sdk.Plan, error) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
		return grant(s, s.Allowance.MaxGrantMinor, time.Time{}), ctx.Err()
	}}, "within its own time limit"},
	"repeats": {debtor{
		plan: func(_ *debtor, _ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
			return grant(s, s.Allowance.MaxGrantMinor, time.Time{}), nil
		},
		execute: func(d *debtor, _ sdk.Command) (sdk.Receipt, error) {
			return sdk.Receipt{Reference: fmt.Sprint(d.calls.Add(1))}, nil
		},
	}, "repeated, answered"},
}

// smallest is what is shown of the smallest failing snapshot: all that the fault
// hangs on, and nothing else.
var smallest = map[string][]string{
	"generous": {`"amount_minor":1,"allowance":{"sources":["OFFER"]}}`, "of 240 snapshots)"},
	"strict":   {`"amount_minor":1}`, "smallest failing snapshot"},
}

// chosen names the case that a started test binary runs.
const chosen = "FEDDI_SDKTEST_CASE"

// TestCase runs the suite on one case, in a test binary that TestSuiteCatches
// or the suite itself started; by itself it has nothing to do.
func TestCase(t *testing.T) {
	cookie := handshake.Config()
	serves := os.Getenv(cookie.MagicCookieKey) == cookie.MagicCookieValue
	for name, c := range cases {
		if !serves && os.Getenv(chosen) != name {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c.debtor.calls = new(atomic.Int64)
			sdktest.Exercise(t, func() sdk.Actuator { return c.debtor }, sdktest.Commands(commands(c.debtor)...))
		})
	}
}

func commands(d debtor) []sdk.Command {
	if d.execute == nil {
		return nil
	}
	return []sdk.Command{{IdempotencyKey: "k1", Kind: "sms.send"}}
}

// TestSuiteCatches: each fault fails the suite with words that name it, and
// the sound actuator passes.
func TestSuiteCatches(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(self, "-test.run=^TestCase$")
			cmd.Env = append(os.Environ(), chosen+"="+name)
			out, err := cmd.CombinedOutput()
			if sound := name == "sound"; (err == nil) != sound {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, says := range append(smallest[name], c.says) {
				if !bytes.Contains(out, []byte(says)) {
					t.Errorf("it does not say %q:\n%s", says, out)
				}
			}
		})
	}
}
