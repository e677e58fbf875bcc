package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/feddi/feddi/adapters/vault"
	"github.com/feddi/feddi/cmd/feddi/internal/system"
	"github.com/feddi/feddi/core/tenancy"
)

// serverFlags are what dev and serve share.
type serverFlags struct {
	Listen     string          `default:"127.0.0.1:8080" help:"Address to listen on; port 0 chooses one." placeholder:"HOST:PORT"`
	RateLimits string          `default:"on" enum:"on,off" env:"FEDDI_RATE_LIMITS" help:"off is for load runs; code attempts stay capped."`
	LogLevel   slog.Level      `default:"INFO" help:"DEBUG, INFO, WARN or ERROR."`
	PublicURL  string          `env:"FEDDI_PUBLIC_URL" help:"How partners reach this server, for links to exports; default the address it listens on." placeholder:"URL"`
	SMS        system.SMS      `embed:""`
	Payments   system.Payments `embed:""`
}

func (f serverFlags) options(mode tenancy.Mode, master []byte, log io.Writer) system.Options {
	return system.Options{
		Mode: mode, Version: version, Listen: f.Listen, Limits: f.RateLimits == "on", MasterKey: master, SMS: f.SMS, PublicURL: f.PublicURL,
		Payments: f.Payments,
		Log:      slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: f.LogLevel})),
	}
}

type devCommand struct {
	serverFlags
	DataDir string `default:".feddi" type:"path" help:"Where the data lives; it survives restarts." placeholder:"DIR"`
}

// Run runs the whole system in sandbox mode until SIGTERM or Ctrl-C.
func (c devCommand) Run(ctx context.Context, t *terminal) error {
	progress := newProgress(t.err)
	d, err := system.StartDatabase(ctx, c.DataDir, progress.tell)
	if err != nil {
		progress.done()
		return err
	}
	defer func() { _ = d.Close(context.WithoutCancel(ctx)) }()
	master, err := keyFile(filepath.Join(c.DataDir, "master.key"))
	if err != nil {
		progress.done()
		return err
	}
	progress.tell("starting the server and three actuators")
	s, err := system.Start(ctx, d.DB, c.options(tenancy.Sandbox, master, t.err))
	progress.done()
	if err != nil {
		return err
	}
	base := s.URL() + "/v1/partner"
	fmt.Fprintf(t.out, "listening %s\n\n", s.URL())
	fmt.Fprintf(t.out, "  API documents  %s/openapi\n", base)
	fmt.Fprintf(t.out, "  capabilities   %s/capabilities\n", base)
	fmt.Fprintf(t.out, "  a key          POST %s/auth/keys/sandbox\n", base)
	fmt.Fprintf(t.out, "  data           %s (%s)\n", c.DataDir, d.Server.From())
	fmt.Fprintf(t.out, "\nCtrl-C drains and ends it.\n")
	return s.RunUntil(ctx, d)
}

type serveCommand struct {
	serverFlags
	Sandbox   bool   `help:"Serve test keys, and only those."`
	MasterKey string `env:"FEDDI_MASTER_KEY" help:"Base64 of 32 random bytes; seals the secrets in the database. Keep it elsewhere." placeholder:"KEY"`
}

// Run serves until SIGTERM, on the database that DATABASE_URL names.
func (c serveCommand) Run(ctx context.Context, t *terminal) error {
	if c.RateLimits == "off" {
		return errors.New("serve does not run without rate limits; FEDDI_RATE_LIMITS=off is for dev and load runs")
	}
	if _, err := system.DatabaseURL(); err != nil {
		return err
	}
	master, err := c.master()
	if err != nil {
		return err
	}
	mode := tenancy.Production
	if c.Sandbox {
		mode = tenancy.Sandbox
	}
	o := c.options(mode, master, t.err)
	if master == nil {
		o.Log.Warn("FEDDI_MASTER_KEY is not set: whoever reads the database can sign terminal tokens")
	}
	d, err := system.StartDatabase(ctx, "", func(what string) { o.Log.Info(what) })
	if err != nil {
		return err
	}
	defer func() { _ = d.Close(context.WithoutCancel(ctx)) }()
	s, err := system.Start(ctx, d.DB, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "listening %s\n", s.URL())
	return s.RunUntil(ctx, d)
}

func (c serveCommand) master() ([]byte, error) {
	if c.MasterKey == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(c.MasterKey)
	if err != nil || len(key) < 32 {
		return nil, errors.New("FEDDI_MASTER_KEY must be base64 of at least 32 bytes, for example from: openssl rand -base64 32")
	}
	return key, nil
}

// keyFile reads a key, and makes it where there is none.
func keyFile(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key = vault.Key()
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, key, 0o600))
	}
	if err == nil && len(key) < 32 {
		err = fmt.Errorf("%s is damaged: it has %d bytes, not 32", path, len(key))
	}
	return key, err
}

// quietLog writes warnings and worse, for commands that talk to a person.
func quietLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// firstLine is the first line of a text.
func firstLine(raw []byte) string {
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	return string(line)
}
