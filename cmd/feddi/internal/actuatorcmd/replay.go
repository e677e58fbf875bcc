package actuatorcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/feddi/feddi/adapters/pluginhost"
	"github.com/feddi/feddi/adapters/pluginhost/program"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/actuators"
)

// replayPage is how many recorded decisions are asked at once.
const replayPage = 64

// Replay runs an actuator over recorded decisions and says what would change.
type Replay struct {
	dataFlags
	Path     string `arg:"" type:"path" help:"The actuator's executable, or a script."`
	Since    string `required:"" help:"From when on: a time (RFC 3339), a date, or an age such as 36h or 7d." placeholder:"WHEN"`
	Merchant string `help:"Only this merchant's (mer_...)." placeholder:"ID"`
	Settings string `help:"Settings in place of the recorded ones, a JSON object; or @FILE." placeholder:"JSON"`
	JSON     bool   `help:"Print one JSON object, for machines."`
}

// replayed is what a replay found.
type replayed struct {
	Actuator  string           `json:"actuator"`
	Version   string           `json:"version"`
	Asked     int              `json:"decisions"`
	Same      int              `json:"same"`
	Reworded  int              `json:"reworded"` // the same effects, another reasoning
	Begins    int              `json:"acts_where_it_refused"`
	Ends      int              `json:"refuses_where_it_acted"`
	Differs   int              `json:"acts_otherwise"`
	Fails     int              `json:"fails"` // an error, or a plan that breaks a rule
	Before    map[string]int64 `json:"granted_before_minor"`
	After     map[string]int64 `json:"granted_after_minor"`
	Failures  map[string]int   `json:"failures,omitempty"`
	Examples  []change         `json:"examples,omitempty"`
	TookNS    time.Duration    `json:"took_ns"`
	Committed bool             `json:"committed"` // never
}

// change is one decision that would be another.
type change struct {
	DecisionID string `json:"decision_id"`
	Was        string `json:"was"`
	WouldBe    string `json:"would_be"`
}

// maxExamples is how many changes are shown.
const maxExamples = 5

// Run replays. It reads the database and commits nothing.
func (c Replay) Run(ctx context.Context, t *Terminal) error {
	since, err := when(c.Since, time.Now())
	if err != nil {
		return err
	}
	settings, err := settingsText(c.Settings)
	if err != nil {
		return err
	}
	file, err := program.Inspect(c.Path)
	if err != nil {
		return err
	}
	o, err := pluginhost.Open(ctx, confinedSpec("", file), pluginhost.Config{Version: "replay", Logger: discarded})
	if err != nil {
		return err
	}
	defer func() { _ = o.Close() }()
	if len(settings) > 0 {
		if err := o.Manifest.CheckSettings(settings); err != nil {
			return detailed(err)
		}
	}
	return withActuators(ctx, c.dataFlags, func(string) {}, func(s *actuators.Service) error {
		filter := actuators.RecordedFilter{MerchantID: c.Merchant, Kinds: o.Manifest.DecisionKinds, Since: since, Limit: replayPage}
		found := &replayed{Actuator: o.Manifest.Name, Version: o.Manifest.Version, Before: map[string]int64{}, After: map[string]int64{}, Failures: map[string]int{}}
		if err := found.all(ctx, s.Store, o.Planner(), filter, settings, t); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(t.Out).Encode(found)
		}
		found.print(t.Out)
		return nil
	})
}

func (r *replayed) all(ctx context.Context, store actuators.Store, planner *actuation.Planner, f actuators.RecordedFilter, settings json.RawMessage, t *Terminal) error {
	began := time.Now()
	total, err := store.CountRecorded(ctx, f)
	if err != nil {
		return err
	}
	bar := t.bar(total, "replaying")
	defer func() { _ = bar.Finish() }()
	for {
		page, err := store.Recorded(ctx, f)
		if err != nil {
			return err
		}
		batch := make([]actuation.Snapshot, len(page))
		for i := range page {
			batch[i] = page[i].Snapshot
			if len(settings) > 0 {
				batch[i].Settings = settings
			}
		}
		for i, o := range planner.Plan(ctx, batch) {
			r.add(page[i], o)
		}
		_ = bar.Add(len(page))
		if len(page) < f.Limit || ctx.Err() != nil {
			r.TookNS = time.Since(began)
			return ctx.Err()
		}
		f.After = page[len(page)-1].DecisionID
	}
}

// add compares what was planned with what would be.
func (r *replayed) add(d actuators.Recorded, o actuation.Outcome) {
	currency := string(d.Snapshot.Currency)
	r.Asked++
	r.Before[currency] += d.Plan.GrantMinor()
	if o.Err != nil {
		r.Fails++
		r.Failures[actuators.Cause(o.Err)]++
		return
	}
	r.After[currency] += o.Plan.GrantMinor()
	was, would := d.Plan.Refusal != "", o.Plan.Refusal != ""
	switch {
	case was && !would:
		r.Begins++
	case !was && would:
		r.Ends++
	case was && d.Plan.Refusal == o.Plan.Refusal, !was && bytes.Equal(effectsOf(d.Plan), effectsOf(o.Plan)):
		if d.Plan.Reasoning.Summary == o.Plan.Reasoning.Summary {
			r.Same++
			return
		}
		r.Reworded++
	default:
		r.Differs++
	}
	if len(r.Examples) < maxExamples {
		r.Examples = append(r.Examples, change{d.DecisionID, d.Plan.Reasoning.Summary, o.Plan.Reasoning.Summary})
	}
}

// effectsOf is what a plan does, in one form.
func effectsOf(p actuation.Plan) []byte {
	raw, _ := json.Marshal(p.Effects)
	return raw
}

func (r *replayed) print(out io.Writer) {
	fmt.Fprintf(out, "\n  %s %s over %s, in %.1f s; nothing was committed\n\n", r.Actuator, r.Version, plural(r.Asked, "recorded decision"), r.TookNS.Seconds())
	for _, row := range []struct {
		n    int
		what string
	}{
		{r.Same, "the same"}, {r.Reworded, "the same, in other words"}, {r.Begins, "would act where it was refused"},
		{r.Ends, "would refuse where it acted"}, {r.Differs, "would act otherwise"}, {r.Fails, "would fail"},
	} {
		fmt.Fprintf(out, "  %8d  %s\n", row.n, row.what)
	}
	for _, currency := range slices.Sorted(maps.Keys(r.Before)) {
		fmt.Fprintf(out, "\n  granted   %d would be %d minor units of %s (%+d)\n", r.Before[currency], r.After[currency], currency, r.After[currency]-r.Before[currency])
	}
	for _, cause := range slices.Sorted(maps.Keys(r.Failures)) {
		fmt.Fprintf(out, "\n%s\n", wrapped(fmt.Sprintf("fails %d times: %s", r.Failures[cause], cause), "  ", 80))
	}
	for _, e := range r.Examples {
		fmt.Fprintf(out, "\n  %s\n%s\n%s\n", e.DecisionID, wrapped("was: "+e.Was, "    ", 80), wrapped("now: "+e.WouldBe, "    ", 80))
	}
	fmt.Fprintln(out)
}

// when reads a time, a date, or an age.
func when(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	return time.Time{}, errors.New("--since takes a time such as 2026-06-01T09:00:00Z, a date such as 2026-06-01, or an age such as 36h or 7d")
}

// bar counts to n; silent where nobody looks.
func (t *Terminal) bar(n int64, what string) *progressbar.ProgressBar {
	if !isTerminal(t.Err) {
		return progressbar.DefaultSilent(n, what)
	}
	return progressbar.NewOptions64(n, progressbar.OptionSetWriter(t.Err), progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(40), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
}
