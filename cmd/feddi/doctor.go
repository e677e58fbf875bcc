package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/feddi/feddi/adapters/pluginhost"
	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgdev"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
)

type doctorCommand struct {
	JSON bool `help:"Print one JSON object, for machines."`
}

// finding is one thing that doctor looked at.
type finding struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Cure   string `json:"cure,omitempty"`
}

// Run looks at everything that a system needs and says how to cure what is
// missing; exit 1 where something is.
func (c doctorCommand) Run(ctx context.Context, t *terminal) error {
	progress := newProgress(t.err)
	var all []finding
	for _, look := range []func(context.Context) finding{machine, postgresPrograms, databaseAnswers, actuatorsStart} {
		progress.tell("looking")
		all = append(all, look(ctx))
	}
	progress.done()
	sick := false
	for _, f := range all {
		sick = sick || !f.OK
	}
	if c.JSON {
		_ = json.NewEncoder(t.out).Encode(map[string]any{"ok": !sick, "findings": all})
	} else {
		printFindings(t, all)
	}
	if sick {
		return errSilent
	}
	return nil
}

func printFindings(t *terminal, all []finding) {
	for _, f := range all {
		mark := "ok     "
		if !f.OK {
			mark = "MISSING"
		}
		fmt.Fprintf(t.out, "%s  %-10s  %s\n", mark, f.What, f.Detail)
		if f.Cure != "" {
			fmt.Fprintf(t.out, "                     do: %s\n", f.Cure)
		}
	}
}

func machine(context.Context) finding {
	return finding{"machine", true, fmt.Sprintf("%s/%s, %d cores, feddi %s, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), version, runtime.Version()), ""}
}

func postgresPrograms(ctx context.Context) finding {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if path, err := exec.LookPath("postgres"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		if os.Getenv("DATABASE_URL") != "" {
			return finding{"programs", true, "no PostgreSQL programs here; DATABASE_URL is used", ""}
		}
		return finding{"programs", false, "no PostgreSQL programs on this machine", "apt-get install postgresql, or set DATABASE_URL"}
	}
	program := found[len(found)-1]
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return finding{"programs", false, program + ": " + err.Error(), "apt-get install --reinstall postgresql"}
	}
	return finding{"programs", true, firstLine(out), ""}
}

// databaseAnswers starts (or asks) a database for real and looks at its schema.
func databaseAnswers(ctx context.Context) finding {
	begin := time.Now()
	server, err := pgdev.Start(ctx, pgdev.Options{Durable: true})
	if err != nil {
		return finding{"database", false, err.Error(), "see the message"}
	}
	defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	db, err := pg.Connect(ctx, server.DSN(""), pg.Options{})
	if err != nil {
		return finding{"database", false, err.Error(), "check DATABASE_URL and that the server runs"}
	}
	defer db.Close()
	pending, err := migrations.Pending(ctx, db)
	if err != nil {
		return finding{"database", false, err.Error(), "this database belongs to another version of feddi; use that, or another database"}
	}
	detail := fmt.Sprintf("%s; answers after %d ms", server.From(), time.Since(begin).Milliseconds())
	if os.Getenv("DATABASE_URL") != "" && len(pending) > 0 {
		return finding{"database", false, fmt.Sprintf("%s; %d migrations are missing", detail, len(pending)), "feddi migrate"}
	}
	return finding{"database", true, detail, ""}
}

func actuatorsStart(ctx context.Context) finding {
	begin := time.Now()
	host, err := pluginhost.New(pluginhost.Config{Specs: system.FirstParty(), Version: version, Logger: quietLog(os.Stderr)})
	if err == nil {
		err = host.Start(ctx)
	}
	if err != nil {
		return finding{"actuators", false, err.Error(), "check that processes may be started and TMPDIR is writable"}
	}
	defer func() { _ = host.Stop(context.WithoutCancel(ctx)) }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := host.WaitReady(ctx); err != nil {
		return finding{"actuators", false, err.Error(), "see the message"}
	}
	return finding{"actuators", true, fmt.Sprintf("wallet, cashback, attribution ready after %d ms", time.Since(begin).Milliseconds()), ""}
}
