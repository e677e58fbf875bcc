package actuatorcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/feddi/feddi/adapters/pluginhost"
	"github.com/feddi/feddi/adapters/pluginhost/explain"
	"github.com/feddi/feddi/adapters/pluginhost/program"
	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk/conformance"
	"github.com/feddi/feddi/plugins/sdk/wire"
)

type Verify struct {
	Path   string `arg:"" type:"path" help:"The actuator's executable, or a script."`
	SHA256 string `name:"sha256" help:"Checksum that it must have, in hexadecimal." placeholder:"HEX"`
	JSON   bool   `help:"Print one JSON object, for machines."`
}

// verdict is what verify found.
type verdict struct {
	OK        bool                 `json:"ok"`
	Problem   string               `json:"problem,omitempty"` // why it could not even be examined
	Detail    string               `json:"detail,omitempty"`  // what the system said to that
	Path      string               `json:"path"`
	SHA256    string               `json:"sha256,omitempty"`
	Files     int                  `json:"files,omitempty"`
	Bytes     int64                `json:"bytes,omitempty"`
	Protocol  int                  `json:"protocol,omitempty"`
	Isolated  bool                 `json:"isolated"`
	StartedNS time.Duration        `json:"started_ns,omitempty"`
	Manifest  *actuation.Manifest  `json:"manifest,omitempty"`
	Checks    []checked            `json:"checks,omitempty"`
	Timings   []timing             `json:"timings,omitempty"`
	spec      *pluginhost.Spec     // how to start it again
	opened    []*pluginhost.Opened // to be closed
}

type checked struct {
	Check    string        `json:"check"`
	OK       bool          `json:"ok"`
	Failures []string      `json:"failures,omitempty"`
	TookNS   time.Duration `json:"took_ns"`
}

// timing is how long calls of one batch size take.
type timing struct {
	Batch     int           `json:"batch"`
	Calls     int           `json:"calls"`
	P50NS     time.Duration `json:"p50_ns"`
	P99NS     time.Duration `json:"p99_ns"`
	PerSecond float64       `json:"plans_per_second"`
}

var hex64 = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// Run examines the actuator. It needs no server and no database.
func (c Verify) Run(ctx context.Context, t *Terminal) error {
	if c.SHA256 != "" && !hex64.MatchString(c.SHA256) {
		return errors.New("--sha256 must be 64 hexadecimal digits, as sha256sum prints them")
	}
	v := &verdict{Path: c.Path}
	defer v.close()
	progress := t.progress()
	v.examine(ctx, c, progress.tell)
	progress.done()
	if c.JSON {
		encoder := json.NewEncoder(t.Out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(v); err != nil {
			return err
		}
	} else {
		v.print(t.Out, t.colour())
	}
	if !v.OK {
		return ErrSilent
	}
	return nil
}

func (v *verdict) examine(ctx context.Context, c Verify, tell func(string)) {
	tell("reading " + c.Path)
	program, err := program.Inspect(c.Path)
	v.Path, v.SHA256, v.Files, v.Bytes = program.Path, program.SHA256, program.Files, program.Bytes
	if err != nil {
		v.Problem = err.Error()
		return
	}
	if c.SHA256 != "" && !strings.EqualFold(c.SHA256, program.SHA256) {
		v.Problem = "its checksum is not the given one; it was changed, or another file was meant"
		return
	}
	tell("starting it")
	o, err := v.start(ctx, program)
	if err != nil {
		v.fail(err)
		return
	}
	v.Manifest, v.Protocol, v.StartedNS, v.Isolated = &o.Manifest, o.Protocol, o.Started, o.Isolated
	report := &conformance.Report{Progress: func(check string) { tell("it " + check) }}
	report.Run(ctx, &conformance.Suite{Client: o.Client, Fresh: v.fresh(ctx, program), NoCommands: true})
	for _, f := range report.Findings() {
		v.Checks = append(v.Checks, checked{f.Check, len(f.Failures) == 0, f.Failures, f.Took})
	}
	if v.OK = !report.Failed(); v.OK {
		tell("taking its time")
		v.Timings = measure(ctx, o)
	}
}

// start starts it confined, as a server would; what it logs is not shown.
func (v *verdict) start(ctx context.Context, program program.File) (*pluginhost.Opened, error) {
	if v.spec == nil {
		name, err := nameOf(ctx, program)
		if err != nil {
			return nil, err
		}
		spec := confinedSpec(name, program)
		v.spec = &spec
	}
	o, err := pluginhost.Open(ctx, *v.spec, pluginhost.Config{Version: "verify", Logger: discarded})
	if err == nil {
		v.opened = append(v.opened, o)
	}
	return o, err
}

// fresh starts a second process, to be compared with the first.
func (v *verdict) fresh(ctx context.Context, program program.File) func(conformance.T) actuatorv1.ActuatorClient {
	return func(t conformance.T) actuatorv1.ActuatorClient {
		o, err := v.start(ctx, program)
		if err != nil {
			t.Fatalf("a second start: %v", err)
		}
		return o.Client
	}
}

func (v *verdict) close() {
	for _, o := range v.opened {
		_ = o.Close()
	}
}

// fail notes why it could not be examined, and what the system said.
func (v *verdict) fail(err error) {
	v.Problem = err.Error()
	var explained *explain.Explained
	if errors.As(err, &explained) {
		v.Problem, v.Detail = explained.Says, explained.Unwrap().Error()
	}
}

// measure times calls of one, 16 and 64 snapshots, one after the other.
func measure(ctx context.Context, o *pluginhost.Opened) []timing {
	all := conformance.Corpus(o.Manifest.DecisionKinds)
	var out []timing
	for _, n := range []int{1, 16, 64} {
		batch := make([]actuation.Snapshot, n)
		for i := range batch {
			batch[i] = all[i%len(all)]
			batch[i].ID = fmt.Sprint(i)
		}
		request := wire.PlanBatchRequest(batch)
		took := make([]time.Duration, 0, 200)
		for began := time.Now(); len(took) < cap(took) && time.Since(began) < time.Second; {
			call := time.Now()
			if _, err := o.Client.PlanBatch(ctx, request); err != nil {
				return out
			}
			took = append(took, time.Since(call))
		}
		slices.Sort(took)
		p50 := took[len(took)/2]
		out = append(out, timing{n, len(took), p50, took[len(took)*99/100], float64(n) / p50.Seconds()})
	}
	return out
}

func (v *verdict) print(out io.Writer, colourful bool) {
	mark := func(ok bool) string {
		word, code := "ok", "32"
		if !ok {
			word, code = "no", "31"
		}
		if colourful {
			return "\x1b[" + code + "m" + word + "\x1b[0m"
		}
		return word
	}
	fmt.Fprintf(out, "\n  program   %s\n", short(v.Path, 66))
	if v.SHA256 != "" {
		fmt.Fprintf(out, "  sha256    %s\n            %s, %s\n", v.SHA256, plural(v.Files, "file"), size(v.Bytes))
	}
	if v.Manifest != nil {
		v.printManifest(out)
	}
	for _, c := range v.Checks {
		fmt.Fprintf(out, "  %s  %-46s %9.1f ms\n", mark(c.OK), c.Check, ms(c.TookNS))
		for i, f := range c.Failures {
			if i == maxFailures {
				fmt.Fprintf(out, "      and %d more; --json prints all\n", len(c.Failures)-i)
				break
			}
			fmt.Fprintf(out, "%s\n", wrapped(f, "      ", 80))
		}
	}
	for i, m := range v.Timings {
		if i == 0 {
			fmt.Fprintf(out, "\n  batch      p50 ms      p99 ms     plans/s\n")
		}
		fmt.Fprintf(out, "  %5d  %10.3f  %10.3f  %10.0f\n", m.Batch, ms(m.P50NS), ms(m.P99NS), m.PerSecond)
	}
	fmt.Fprintln(out)
	if v.Problem != "" {
		fmt.Fprintf(out, "%s\n", wrapped(v.Problem, "  ", 80))
		if v.Detail != "" {
			fmt.Fprintf(out, "\n%s\n", wrapped(v.Detail, "    ", 80))
		}
		fmt.Fprintln(out)
	}
	if v.OK {
		fmt.Fprintf(out, "  %s  %s %s can be installed.\n\n", mark(true), v.Manifest.Name, v.Manifest.Version)
	} else {
		fmt.Fprintf(out, "  %s  It cannot be installed.\n\n", mark(false))
	}
}

// maxFailures is how many failures of one check are shown.
const maxFailures = 3

func (v *verdict) printManifest(out io.Writer) {
	m := v.Manifest
	fmt.Fprintf(out, "  manifest  %s %s, protocol %d, ready after %.0f ms\n", m.Name, m.Version, v.Protocol, ms(v.StartedNS))
	if m.Description != "" {
		fmt.Fprintf(out, "            %s\n", short(m.Description, 66))
	}
	fmt.Fprintf(out, "            decides %s; may %s\n", join(m.DecisionKinds), orNothing(join(m.EffectKinds)))
	fmt.Fprintf(out, "            %s, at most %v per call\n", m.Policy, m.TimeLimit)
	if len(m.CommandKinds) > 0 {
		fmt.Fprintf(out, "            executes %s; asks for hosts: %s\n", strings.Join(m.CommandKinds, ", "), orNothing(strings.Join(m.Hosts, ", ")))
	}
	isolated := "own limits, own namespaces, no network"
	if !v.Isolated {
		isolated = "own limits; this system grants no namespaces, so it has the network"
	}
	fmt.Fprintf(out, "  confined  %s\n\n", isolated)
}
