// Package bench measures a deployment for those who size one: payments,
// offers, outbox, webhooks and replay, each on a durable database, each beside
// what the database itself can do in the same run. A ratio taken in one run
// says something; an absolute rate says which machine it was.
package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
	"github.com/feddi/feddi/core/app/sandbox"
	core "github.com/feddi/feddi/core/ledger"
)

// Deployment is what is measured.
type Deployment struct {
	DB *pg.DB
	// Database says where the database comes from, for a person.
	Database string
	// URL and Address are where the server listens; empty where none runs.
	URL, Address string
	// CreateSandbox makes a merchant of its own.
	CreateSandbox func(context.Context, sandbox.Input) (sandbox.Credentials, error)
	// Progress is told what goes on, and how far it is: 0 to 1, or less than 0
	// where nobody knows.
	Progress func(what string, share float64)
	// Quiet is how long to wait, before each row, for other programs to leave
	// the processors alone; 0 does not wait.
	Quiet time.Duration
}

// enough is the foreign share of the processors that counts as quiet.
const enough = 0.05

// quiet waits until other programs use little, for Quiet at most.
func (d *Deployment) quiet(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for begin, before := time.Now(), report.Now(); time.Since(begin) < d.Quiet; {
		d.tell("waiting for a quiet machine", -1)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		now := report.Now()
		if s := now.Since(before); !s.Known || s.Foreign < enough {
			return nil
		}
		before = now
	}
	return nil
}

func (d *Deployment) tell(what string, share float64) {
	if d.Progress != nil {
		d.Progress(what, share)
	}
}

// Verdict is the state of the books after a run.
type Verdict struct {
	Sound    bool          `json:"sound"`
	Findings int           `json:"findings"`
	Examined core.Examined `json:"examined"`
	Took     time.Duration `json:"took_ns"`
	First    string        `json:"first_finding,omitempty"`
}

// verify derives every balance from its postings again.
func (d *Deployment) verify(ctx context.Context) (Verdict, error) {
	audit := ledger.NewAudit(d.DB).Telling(func(share float64) { d.tell("verifying the ledger", share) })
	begin := time.Now()
	v := Verdict{}
	examined, findings, err := core.Verify(ctx, audit, func(f core.Finding) {
		if v.First == "" {
			v.First = f.String()
		}
	})
	if err != nil {
		return v, fmt.Errorf("verify the ledger: %w", err)
	}
	v.Sound, v.Findings, v.Examined, v.Took = findings == 0, findings, examined, time.Since(begin)
	return v, nil
}

// settings are those of Postgres that a figure hangs on.
func (d *Deployment) settings(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range []string{"server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "checkpoint_timeout", "wal_level"} {
		v, err := pg.One[string](ctx, d.DB.Q(), `SELECT current_setting($1)`, name)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

// Head is what every report begins with.
type Head struct {
	At       time.Time         `json:"at"`
	Version  string            `json:"version"`
	Machine  report.Machine    `json:"machine"`
	Database string            `json:"database"`
	Settings map[string]string `json:"postgres"`
}

// ThisHead describes a measurement that needs no database.
func ThisHead(version string) Head {
	return Head{At: time.Now(), Version: version, Machine: report.ThisMachine()}
}

// NewHead describes the deployment as it is measured.
func (d *Deployment) NewHead(ctx context.Context, version string) (Head, error) {
	settings, err := d.settings(ctx)
	return Head{At: time.Now(), Version: version, Machine: report.ThisMachine(), Database: d.Database, Settings: settings}, err
}

// Durable reports whether the database keeps what it acknowledged. Ratios
// against one that does not say nothing.
func (h Head) Durable() bool {
	return h.Settings["fsync"] == "on" && h.Settings["synchronous_commit"] != "off" && h.Settings["full_page_writes"] == "on"
}
