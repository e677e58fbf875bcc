package actuation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/privacy"
	"github.com/feddi/feddi/core/tenancy"
)

// AnyHost in a manifest's hosts stands for those that the operator names at
// install: an actuator may not know its merchant's own.
const AnyHost = "*"

// CommandPrefix begins the ids of commands.
const CommandPrefix = "cmd"

// Bounds of what an actuator does outside.
const (
	maxHosts     = 32
	maxSchedules = 8
	minEvery     = time.Second
	maxEvery     = 30 * 24 * time.Hour
	// MaxReferenceRunes bounds Receipt.Reference.
	MaxReferenceRunes = 200
	// MaxAttempts is how often a command is tried before it is parked: for about
	// 8 hours.
	MaxAttempts = 20
	// longestRetry is the longest time from one attempt to the next.
	longestRetry = time.Hour
)

// Schedule is a command that is carried out at intervals, for the first time
// when the actuator is installed.
type Schedule struct {
	Command string        `json:"command"`
	Every   time.Duration `json:"every_ns"` // 1 s to 30 days
}

// Executes reports whether the actuator declares the command kind.
func (m Manifest) Executes(kind string) bool { return slices.Contains(m.CommandKinds, kind) }

// Every is the interval of a scheduled command kind; 0 where it has none.
func (m Manifest) Every(kind string) time.Duration {
	for _, s := range m.Schedules {
		if s.Command == kind {
			return s.Every
		}
	}
	return 0
}

// Undriven returns m as a host drives an actuator of before protocol version 2:
// it only plans.
func (m Manifest) Undriven() Manifest {
	m.CommandKinds, m.Schedules = nil, nil
	return m
}

func (m Manifest) schedulesFit() bool {
	kinds := make([]string, len(m.Schedules))
	for i, s := range m.Schedules {
		if s.Every < minEvery || s.Every > maxEvery {
			return false
		}
		kinds[i] = s.Command
	}
	return len(kinds) <= maxSchedules && distinct(kinds, m.CommandKinds)
}

// Grant is what an operator lets an actuator reach: what its manifest names,
// where all of it is allowed, and the hosts that the operator names. Those must
// be the manifest's, unless that has AnyHost. Errors: VALIDATION_FAILED.
func (m Manifest) Grant(all bool, named []string) ([]string, error) {
	open := slices.Contains(m.Hosts, AnyHost)
	granted := []string{}
	if len(m.Hosts) == 0 && (all || len(named) > 0) {
		return nil, hostFault("its manifest asks for no hosts; there is nothing to allow")
	}
	if all {
		granted = append(granted, slices.DeleteFunc(slices.Clone(m.Hosts), func(h string) bool { return h == AnyHost })...)
	}
	for _, host := range named {
		host = strings.ToLower(host)
		switch {
		case !hostPattern.MatchString(host):
			return nil, hostFault("host %q must be a name or an address, with or without a port; one without means port 443", host)
		case !open && !slices.Contains(m.Hosts, host):
			return nil, hostFault("host %q is none that its manifest asks for: %s", host, strings.Join(m.Hosts, ", "))
		case !slices.Contains(granted, host):
			granted = append(granted, host)
		}
	}
	switch {
	case all && open && len(named) == 0:
		return nil, hostFault("its manifest leaves the hosts to you; name each with --allow-host HOST or HOST:PORT")
	case len(granted) > maxHosts:
		return nil, hostFault("at most %d hosts can be allowed", maxHosts)
	}
	return granted, nil
}

func hostFault(format string, args ...any) error {
	return fault.Field(fault.CodeValidationFailed, "allow_host", "hosts", "%s", fmt.Sprintf(format, args...))
}

// StoredCommand is an outside effect that was committed and waits to be carried
// out by whichever version of its actuator is installed then.
type StoredCommand struct {
	ID          string // cmd_..., also the idempotency key
	Tenant      tenancy.Tenant
	Actuator    string // name in the manifest
	Shadow      bool   // of a shadow's schedule
	Kind        string
	Payload     json.RawMessage // empty for a scheduled one
	Scheduled   bool
	DecisionID  string // that asked for it; empty for a scheduled one
	Attempts    int    // that were begun
	CommittedAt time.Time
}

// CommandLog keeps commands. Add belongs into the transaction that commits what
// asks for them.
type CommandLog interface {
	Add(ctx context.Context, commands ...StoredCommand) error
}

// Commands are those that a committed plan asks for, without ids.
func (p Plan) Commands() []StoredCommand {
	var out []StoredCommand
	for _, e := range p.Effects {
		if e.Command != "" {
			out = append(out, StoredCommand{Kind: e.Command, Payload: e.Data})
		}
	}
	return out
}

// Retry says how long after its begin an attempt that failed is repeated; false
// where the command is parked instead. attempt counts from 1; every is the
// interval of a scheduled command, else 0.
func Retry(attempt int, cause error, every time.Duration) (after time.Duration, again bool) {
	f := FailureOf(cause)
	retryable := fault.Is(cause, fault.CodeDeadlineExceeded) || (f != nil && f.Retryable)
	if !retryable || attempt >= MaxAttempts {
		return 0, false
	}
	after = min(time.Second<<min(attempt-1, 30), longestRetry)
	if every > 0 {
		after = min(after, every)
	}
	return after, true
}

// Storable checks what an actuator answered to a command. Errors: a *Failure
// that is not retryable and names the member.
func (r Receipt) Storable() error {
	switch {
	case !text(r.Reference, 0, MaxReferenceRunes):
		return badReceipt("reference", "at most %d characters of readable text", MaxReferenceRunes)
	case len(r.Result) > 0 && (len(r.Result) > MaxDocumentBytes || !document(r.Result)):
		return badReceipt("result", "a storable JSON object of at most %d bytes", MaxDocumentBytes)
	case len(r.Facts) > 0 && (len(r.Facts) > MaxDocumentBytes || !document(r.Facts)):
		return badReceipt("facts", "a storable JSON object of at most %d bytes", MaxDocumentBytes)
	case privacy.HoldsContact(r.Facts): // they go into traces, which no erasure changes
		return badReceipt("facts", "free of phone numbers and e-mail addresses: they are about the merchant, not about a person")
	}
	return nil
}

func badReceipt(member, format string, args ...any) *Failure {
	return &Failure{Code: "garbage", Field: member, Message: "the receipt's " + member + " must be " + fmt.Sprintf(format, args...)}
}
