package actuatorcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	store "github.com/feddi/feddi/adapters/postgres/actuators"
	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgdev"
	storetenancy "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/actuators"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
)

// dataFlags say where the database is: for the operator of the machine.
type dataFlags struct {
	Database string `env:"DATABASE_URL" help:"Address of the database." placeholder:"URL"`
	DataDir  string `type:"path" help:"Data directory of feddi dev, running or not; default: .feddi here or above." placeholder:"DIR"`
}

type Install struct {
	dataFlags
	Path       string   `arg:"" type:"path" help:"The actuator's executable, or a script."`
	Merchant   string   `required:"" help:"Id of the merchant (mer_...)." placeholder:"ID"`
	SHA256     string   `name:"sha256" help:"Checksum that it must have, in hexadecimal." placeholder:"HEX"`
	Settings   string   `help:"The merchant's settings, a JSON object; or @FILE." placeholder:"JSON"`
	MaxGrant   int64    `help:"Most that one decision may give, in minor units; 0: the total of the sale." placeholder:"N"`
	AllowHosts bool     `help:"Let it reach the hosts that its manifest names."`
	AllowHost  []string `help:"Let it reach this host: a name (its port 443) or name:port; may be repeated." placeholder:"HOST"`
	Shadow     bool     `help:"Run it beside the live ones: recorded, never committed."`
	JSON       bool     `help:"Print one JSON object, for machines."`
}

// Run examines the actuator as verify does, and records it.
func (c Install) Run(ctx context.Context, t *Terminal) error {
	v := &verdict{Path: c.Path}
	defer v.close()
	progress := t.progress()
	defer progress.done()
	v.examine(ctx, Verify{Path: c.Path, SHA256: c.SHA256}, progress.tell)
	if !v.OK {
		progress.done()
		v.print(t.Out, t.colour())
		return ErrSilent
	}
	settings, err := settingsText(c.Settings)
	if err != nil {
		return err
	}
	progress.tell("recording it")
	return withActuators(ctx, c.dataFlags, progress.tell, func(s *actuators.Service) error {
		in, replaced, err := s.Install(ctx, actuators.InstallInput{
			MerchantID: c.Merchant, Path: v.Path, SHA256: v.SHA256, Manifest: *v.Manifest, Settings: settings,
			MaxGrantMinor: c.MaxGrant, AllowHosts: c.AllowHosts, Hosts: c.AllowHost, Shadow: c.Shadow,
		})
		progress.done()
		if err != nil {
			return detailed(err)
		}
		return c.told(t, in, replaced)
	})
}

func (c Install) told(t *Terminal, in actuation.Installation, replaced *actuation.Installation) error {
	if c.JSON {
		return json.NewEncoder(t.Out).Encode(map[string]any{
			"installation_id": in.ID, "merchant_id": in.Tenant.MerchantID, "name": in.Manifest.Name, "version": in.Manifest.Version,
			"sha256": in.SHA256, "shadow": in.Shadow, "replaced": replaced != nil,
		})
	}
	fmt.Fprintf(t.Out, "\n  installed   %s %s for %s\n", in.Manifest.Name, in.Manifest.Version, in.Tenant.MerchantID)
	fmt.Fprintf(t.Out, "  id          %s\n  pinned      %s\n", in.ID, in.SHA256)
	fmt.Fprintf(t.Out, "  decides     %s when a sale closes\n", join(in.SaleKinds()))
	if in.Manifest.Emits(actuation.EffectGrant) {
		most := "the total of the sale"
		if in.MaxGrantMinor > 0 {
			most = fmt.Sprintf("%d minor units, and never more than the sale", in.MaxGrantMinor)
		}
		fmt.Fprintf(t.Out, "  may give    %s per decision\n", most)
	}
	switch {
	case len(in.Hosts) > 0:
		fmt.Fprintf(t.Out, "  may reach   %s, and nothing else\n", join(in.Hosts))
	case len(in.Manifest.Hosts) > 0:
		fmt.Fprintf(t.Out, "  may reach   nothing; it asked for %s (--allow-hosts, --allow-host)\n", join(in.Manifest.Hosts))
	}
	for _, s := range in.Manifest.Schedules {
		fmt.Fprintf(t.Out, "  executes    %s now, and then every %v\n", s.Command, s.Every)
	}
	if replaced != nil {
		fmt.Fprintf(t.Out, "  replaces    %s, which serves until this one is ready\n", replaced.Manifest.Version)
	}
	if in.Shadow {
		fmt.Fprintf(t.Out, "  shadow      what it would do is recorded; nothing of it is committed\n")
	}
	fmt.Fprintf(t.Out, "\n  A running server takes it up within a second: feddi actuator list\n\n")
	return nil
}

type Uninstall struct {
	dataFlags
	Name     string `arg:"" help:"Name of the actuator, as its manifest has it."`
	Merchant string `required:"" help:"Id of the merchant (mer_...)." placeholder:"ID"`
	Shadow   bool   `help:"Uninstall its shadow instead of the live one."`
}

// Run uninstalls.
func (c Uninstall) Run(ctx context.Context, t *Terminal) error {
	return withActuators(ctx, c.dataFlags, func(string) {}, func(s *actuators.Service) error {
		in, err := s.Uninstall(ctx, c.Merchant, c.Name, c.Shadow)
		if fault.Is(err, fault.CodeNotFound) {
			return fmt.Errorf("merchant %s has no %s installed%s; see: feddi actuator list", c.Merchant, c.Name, asShadow(c.Shadow))
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(t.Out, "%s %s%s is uninstalled; what is in flight finishes.\n", in.Manifest.Name, in.Manifest.Version, asShadow(c.Shadow))
		return nil
	})
}

func asShadow(shadow bool) string {
	if shadow {
		return " as a shadow"
	}
	return ""
}

type List struct {
	dataFlags
	JSON bool `help:"Print one JSON object per actuator, for machines."`
}

// listed is one line of the list: an actuator on one server, or one that runs
// on none.
type listed struct {
	Name           string                `json:"name"`
	Version        string                `json:"version,omitempty"`
	InstallationID string                `json:"installation_id,omitempty"`
	MerchantID     string                `json:"merchant_id,omitempty"` // empty for the platform's
	Shadow         bool                  `json:"shadow,omitempty"`
	Server         string                `json:"server,omitempty"` // empty where none runs it
	State          string                `json:"state"`
	Reason         string                `json:"reason,omitempty"`
	Restarts       int                   `json:"restarts"`
	Calls          int64                 `json:"calls"`
	Snapshots      int64                 `json:"snapshots"`
	Failures       int64                 `json:"failures"`
	Rejections     int64                 `json:"rejections"`
	P50NS          time.Duration         `json:"p50_ns"`
	P99NS          time.Duration         `json:"p99_ns"`
	Executions     int64                 `json:"executions,omitempty"`
	Pending        int64                 `json:"commands_pending,omitempty"`
	Parked         int64                 `json:"commands_parked,omitempty"`
	RefreshedAt    *time.Time            `json:"facts_refreshed_at,omitempty"` // its stored facts
	Rejected       []actuators.Rejection `json:"rejected,omitempty"`           // by rule, since ever
	ShadowEffects  int64                 `json:"shadow_effects,omitempty"`
	ShadowRefusals int64                 `json:"shadow_refusals,omitempty"`
	ShadowFailures int64                 `json:"shadow_failures,omitempty"`
	ShadowGrant    int64                 `json:"shadow_grant_minor,omitempty"`
}

// Run lists what is installed, and how everything fares on the servers that
// told within the last minute.
func (c List) Run(ctx context.Context, t *Terminal) error {
	return withActuators(ctx, c.dataFlags, func(string) {}, func(s *actuators.Service) error {
		rows, err := listing(ctx, s.Store)
		if err != nil {
			return err
		}
		if c.JSON {
			encoder := json.NewEncoder(t.Out)
			for _, r := range rows {
				if err := encoder.Encode(r); err != nil {
					return err
				}
			}
			return nil
		}
		printListing(t, rows)
		return nil
	})
}

func listing(ctx context.Context, s actuators.Store) ([]listed, error) {
	installed, err := s.Current(ctx, "")
	told, err2 := s.Told(ctx)
	shadows, err3 := s.Shadows(ctx)
	commands, err4 := s.CommandSums(ctx)
	rejections, err5 := s.Rejections(ctx, maxRejections)
	if err := errors.Join(err, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	var rows []listed
	runs := map[string][]actuators.Told{}
	for _, one := range told {
		if one.TenantNo == 0 {
			r := listed{Name: one.Actuator}
			for _, x := range rejections {
				if x.Actuator == one.Actuator && !owns(installed, x) {
					r.Rejected = append(r.Rejected, x)
				}
			}
			rows = append(rows, fares(r, one))
		}
		runs[one.Actuator] = append(runs[one.Actuator], one)
	}
	sums := map[string]actuators.ShadowSum{}
	for _, sum := range shadows {
		sums[sum.InstallationID] = sum
	}
	for _, in := range installed {
		r := listed{Name: in.Manifest.Name, Version: in.Manifest.Version, InstallationID: in.ID, MerchantID: in.Tenant.MerchantID, Shadow: in.Shadow, State: "no server"}
		if sum, known := sums[in.ID]; known {
			r.ShadowEffects, r.ShadowRefusals, r.ShadowFailures, r.ShadowGrant = sum.Effects, sum.Refusals, sum.Failures, sum.GrantMinor
		}
		for _, c := range commands {
			if c.TenantNo == in.Tenant.No && c.Actuator == in.Manifest.Name && c.Shadow == in.Shadow {
				r.Pending, r.Parked, r.RefreshedAt = c.Pending, c.Parked, c.RefreshedAt
			}
		}
		for _, x := range rejections {
			if x.MerchantID == in.Tenant.MerchantID && x.Actuator == in.Manifest.Name && x.Version == in.Manifest.Version {
				r.Rejected = append(r.Rejected, x)
			}
		}
		for _, one := range runs[in.ID] {
			rows = append(rows, fares(r, one))
		}
		if len(runs[in.ID]) == 0 {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// maxRejections is how many broken rules are listed, the latest ones.
const maxRejections = 500

// owns reports whether a rejection is of a merchant's own actuator.
func owns(installed []actuation.Installation, x actuators.Rejection) bool {
	return slices.ContainsFunc(installed, func(in actuation.Installation) bool {
		return in.Tenant.MerchantID == x.MerchantID && in.Manifest.Name == x.Actuator
	})
}

// fares adds how an actuator fares on one server.
func fares(r listed, t actuators.Told) listed {
	r.Server, r.State, r.Reason, r.Restarts = t.Server, string(t.Status.State), t.Status.Reason, t.Status.Restarts
	r.Calls, r.Snapshots, r.Failures, r.Rejections = t.Usage.Calls, t.Usage.Snapshots, t.Usage.Failures, t.Usage.Rejections
	r.P50NS, r.P99NS, r.Executions = t.Usage.P50, t.Usage.P99, t.Usage.Executions
	return r
}

func printListing(t *Terminal, rows []listed) {
	if len(rows) == 0 {
		fmt.Fprintln(t.Out, "Nothing is installed, and no server told of its actuators within a minute.")
		return
	}
	fmt.Fprintf(t.Out, "\n  %-24s %-9s %7s %6s %7s %7s %5s %4s\n", "actuator", "state", "calls", "batch", "p50 ms", "p99 ms", "fail", "rej")
	for _, r := range rows {
		batch := 0.0
		if r.Calls > 0 {
			batch = float64(r.Snapshots) / float64(r.Calls)
		}
		fmt.Fprintf(t.Out, "  %-24s %-9s %7d %6.1f %7.2f %7.2f %5d %4d\n", short(r.Name+" "+r.Version, 24), r.State, r.Calls, batch, ms(r.P50NS), ms(r.P99NS), r.Failures, r.Rejections)
		if r.MerchantID != "" {
			fmt.Fprintf(t.Out, "    of %s%s\n", r.MerchantID, asShadow(r.Shadow))
		}
		if r.Shadow {
			fmt.Fprintf(t.Out, "    would have: acted %d times, granting %d in all; refused %d; failed %d\n", r.ShadowEffects, r.ShadowGrant, r.ShadowRefusals, r.ShadowFailures)
		}
		r.printOutside(t)
		for i, x := range r.Rejected {
			if i == maxFailures {
				fmt.Fprintf(t.Out, "    and %d more rules; --json prints all\n", len(r.Rejected)-i)
				break
			}
			text := fmt.Sprintf("broke rule %s %s, last %s: %s", x.Rule, plural(int(x.Count), "time"), x.LastAt.UTC().Format(time.RFC3339), x.Message)
			fmt.Fprintln(t.Out, wrapped(text, "    ", 80))
		}
		if r.Restarts > 0 {
			fmt.Fprintf(t.Out, "    its process was replaced %s\n", plural(r.Restarts, "time"))
		}
		if r.Reason != "" {
			fmt.Fprintln(t.Out, wrapped(r.Reason, "    ", 80))
		}
	}
	fmt.Fprintln(t.Out)
}

// printOutside tells of what it does outside.
func (r listed) printOutside(t *Terminal) {
	if r.RefreshedAt != nil {
		fmt.Fprintf(t.Out, "    its facts are of %s\n", r.RefreshedAt.UTC().Format(time.RFC3339))
	}
	if r.Executions+r.Pending+r.Parked > 0 {
		fmt.Fprintf(t.Out, "    commands: executed %d times; %d pending; %d parked\n", r.Executions, r.Pending, r.Parked)
	}
	if r.Parked > 0 {
		fmt.Fprintf(t.Out, "    see: feddi actuator commands --state parked\n")
	}
}

// settingsText reads the settings of the command line.
func settingsText(arg string) (json.RawMessage, error) {
	if len(arg) > 0 && arg[0] == '@' {
		raw, err := os.ReadFile(arg[1:])
		if err != nil {
			return nil, fmt.Errorf("read the settings: %w", err)
		}
		return raw, nil
	}
	return json.RawMessage(arg), nil
}

// detailed adds what is wrong with each field to a fault.
func detailed(err error) error {
	f := fault.As(err)
	if f == nil || len(f.Details) < 1 || f.Details[0].Message == f.Message {
		return err
	}
	text := f.Message
	for _, d := range f.Details {
		text += "\n  " + d.Field + " " + d.Message
	}
	return errors.New(text)
}

// withActuators runs fn on the database that the flags name.
func withActuators(ctx context.Context, f dataFlags, tell func(string), fn func(*actuators.Service) error) error {
	server, err := f.server(ctx, tell)
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	db, err := pg.Connect(ctx, server.DSN(""), pg.Options{ApplicationName: "feddi actuator"})
	if err != nil {
		return err
	}
	defer db.Close()
	if pending, err := migrations.Pending(ctx, db); err != nil || len(pending) > 0 {
		return errors.Join(err, fmt.Errorf("the database is older than this program (%d migrations are missing); run: feddi migrate", len(pending)))
	}
	c := clock.System{}
	return fn(&actuators.Service{Store: store.New(db), Directory: storetenancy.NewDirectory(db), Clock: c, IDs: ids.New(c)})
}

// server is the database of DATABASE_URL (a data directory on the command line
// goes before it), of a running feddi dev, or of one that
// does not run, which is then started for as long as this takes.
func (f dataFlags) server(ctx context.Context, tell func(string)) (*pgdev.Server, error) {
	if f.DataDir == "" {
		if f.Database != "" {
			return pgdev.External(f.Database), nil
		}
		if f.DataDir = dataAbove(); f.DataDir == "" {
			return nil, errors.New("DATABASE_URL is not set and there is no .feddi here or above; give --data-dir, the directory of feddi dev")
		}
	}
	if _, err := os.Stat(filepath.Join(f.DataDir, "data")); err != nil {
		return nil, fmt.Errorf("%s is no data directory of feddi dev; correct --data-dir", f.DataDir)
	}
	if running, found := pgdev.Running(ctx, f.DataDir); found {
		return running, nil
	}
	return pgdev.Start(ctx, pgdev.Options{Dir: f.DataDir, Durable: true, Private: true, Progress: tell})
}

// dataAbove is the .feddi of this directory or of one above it; empty where
// there is none.
func dataAbove() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, ".feddi", "data")); missing == nil {
			return filepath.Join(dir, ".feddi")
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	return ""
}
