// Package conformance examines an actuator over its wire contract: that its
// plans hold to the rules by which the core proves them, that equal facts give
// equal plans, that no clock is read, that unknown fields are tolerated, that
// deadlines are honoured, that concurrent calls do not disturb each other, that
// errors keep their type, and that a repeated command is carried out once.
//
// An author uses sdktest, which runs it in a test; `feddi actuator verify`
// runs it on a finished program.
package conformance

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// T is what a check reports to; sdktest gives it a *testing.T.
type T interface {
	Helper()
	Context() context.Context
	// Errorf and Error note a failure and go on.
	Errorf(format string, args ...any)
	Error(args ...any)
	// Fatalf and Fatal note a failure and end the check.
	Fatalf(format string, args ...any)
	Fatal(args ...any)
	// Run runs a part of the check and reports whether it held.
	Run(name string, check func(T)) bool
}

// Finding is the outcome of one check.
type Finding struct {
	Check    string        // what was checked, in words
	Failures []string      // what was wrong; empty where it held
	Took     time.Duration // how long it took
}

// Report collects findings without a test around it.
type Report struct {
	// Progress, where not nil, hears of every check that begins.
	Progress func(check string)

	mu       sync.Mutex
	findings []Finding
}

// Findings lists the checks that ran, in order.
func (r *Report) Findings() []Finding {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.findings
}

// Failed reports whether any check failed.
func (r *Report) Failed() bool {
	for _, f := range r.Findings() {
		if len(f.Failures) > 0 {
			return true
		}
	}
	return false
}

// Run examines with s and collects what it finds.
func (r *Report) Run(ctx context.Context, s *Suite) { s.Run(&recorder{ctx: ctx, report: r}) }

// recorder is T over a report: the root, a check, or a part of one.
type recorder struct {
	ctx    context.Context
	report *Report
	check  bool   // a check or below
	prefix string // of parts

	mu       sync.Mutex
	failures []string
}

func (*recorder) Helper() {}

func (t *recorder) Context() context.Context { return t.ctx }

func (t *recorder) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, t.prefix+fmt.Sprintf(format, args...))
}

func (t *recorder) Error(args ...any) {
	t.Errorf("%s", strings.TrimSuffix(fmt.Sprintln(args...), "\n"))
}

func (t *recorder) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *recorder) Fatal(args ...any) {
	t.Error(args...)
	runtime.Goexit()
}

func (t *recorder) Run(name string, check func(T)) bool {
	part := &recorder{ctx: t.ctx, report: t.report, check: true}
	if t.check {
		part.prefix = t.prefix + name + ": "
	} else if t.report.Progress != nil {
		t.report.Progress(name)
	}
	began := time.Now()
	done := make(chan struct{})
	go func() { // a check that gives up ends its goroutine
		defer close(done)
		check(part)
	}()
	<-done
	if t.check {
		t.mu.Lock()
		t.failures = append(t.failures, part.failures...)
		t.mu.Unlock()
	} else {
		t.report.mu.Lock()
		t.report.findings = append(t.report.findings, Finding{Check: name, Failures: part.failures, Took: time.Since(began)})
		t.report.mu.Unlock()
	}
	return len(part.failures) == 0
}
