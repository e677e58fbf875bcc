// Package system is the composition root: it puts adapters, use cases and
// actuators together over a migrated database, runs them, and drains them.
package system

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/jwtauth"
	"github.com/feddi/feddi/adapters/outbox"
	"github.com/feddi/feddi/adapters/pluginhost"
	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/jobs"
	"github.com/feddi/feddi/adapters/postgres/journal"
	"github.com/feddi/feddi/adapters/postgres/pg"
	storetenancy "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/adapters/postgres/webhooks"
	"github.com/feddi/feddi/adapters/vault"
	"github.com/feddi/feddi/adapters/webhookhttp"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Options say what kind of system to run.
type Options struct {
	Mode      tenancy.Mode
	Listen    string // host:port; port 0 chooses one
	Limits    bool   // whether rates are limited
	MasterKey []byte // seals the secrets in the database; nil leaves them in the clear
	SMS       SMS
	PublicURL string // how the server is reached from outside; empty where it is URL
	Payments  Payments
	Log       *slog.Logger
	Version   string // of the program
	// Registry, where not nil, gives what plans in place of the host's actuators;
	// for measurements.
	Registry func(actuation.Registry) actuation.Registry
}

// System is a running Feddi: everything between a database and its clients.
type System struct {
	Options
	DB        *pg.DB
	clock     clock.Clock
	ids       *ids.Source
	name      string // of this server, unique among those that share the database
	secrets   tenancy.Secrets
	wake      *outbox.Wake
	UoW       *postgres.UnitOfWork
	vault     *vault.Vault
	directory *storetenancy.Directory
	auth      *jwtauth.Authenticator
	watcher   *storetenancy.Watcher
	Host      *pluginhost.Host
	own       *ownActuators
	planner   *actuation.Planner
	journal   *journal.Journal
	Uses      *UseCases
	worker    *webhookhttp.Worker
	tail      *events.Tail
	sub       *outbox.Subscriber
	router    *outbox.Router
	probe     *probe
	sender    sender

	http     *http.Server
	listener net.Listener
	// stopped ends what runs in the background; running waits for it.
	stopped context.CancelFunc
	running sync.WaitGroup
}

// Start puts a system together over a migrated database and returns once
// it is healthy: it listens, and every actuator answers.
func Start(ctx context.Context, db *pg.DB, o Options) (*System, error) {
	s := &System{Options: o, DB: db, clock: clock.System{}, wake: outbox.NewWake(), own: newOwnActuators()}
	s.ids = ids.New(s.clock)
	s.name = serverName()
	for _, step := range []func(context.Context) error{s.openSecrets, s.startActuators, s.assemble, s.listenHTTP} {
		if err := step(ctx); err != nil {
			s.Stop(context.WithoutCancel(ctx))
			return nil, err
		}
	}
	s.startBackground()
	if err := s.ready(ctx); err != nil {
		s.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return s, nil
}

// ready waits until GET /health would say so.
func (s *System) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := s.Host.WaitReady(ctx); err != nil {
		return fmt.Errorf("the actuators did not start: %w", err)
	}
	select {
	case <-s.router.Running():
	case <-ctx.Done():
		return errors.New("the event consumers did not start in time")
	}
	return s.probe.wait(ctx)
}

// Address is where the server listens, as host:port.
func (s *System) Address() string { return s.listener.Addr().String() }

// URL is where the server listens.
func (s *System) URL() string { return "http://" + s.Address() }

// publicURL is how partners reach the server.
func (s *System) publicURL() string {
	if s.PublicURL != "" {
		return strings.TrimRight(s.PublicURL, "/")
	}
	return s.URL()
}

func (s *System) openSecrets(ctx context.Context) (err error) {
	if s.secrets, err = storetenancy.OpenSecrets(ctx, s.DB, s.MasterKey, s.clock.Now()); err != nil {
		return err
	}
	s.vault, err = vault.New(s.secrets.ServerKey, "webhook signing secrets")
	return err
}

func (s *System) startActuators(ctx context.Context) (err error) {
	s.Host, err = pluginhost.New(pluginhost.Config{
		Specs: FirstParty(), Version: s.Version, Logger: s.Log, Clock: s.clock, Changed: s.own.changed,
	})
	if err != nil {
		return err
	}
	s.planner = &actuation.Planner{Registry: s.Host, Rejected: s.planRejected}
	if s.Registry != nil {
		s.planner.Registry = s.Registry(s.Host)
	}
	return s.Host.Start(ctx)
}

// planRejected tells the operator; the partner gets ACTUATOR_UNAVAILABLE.
func (s *System) planRejected(r *actuation.Rejected) {
	s.Host.Rejected(r)
	s.own.refused(r)
	s.Log.Error("an actuator's plan was refused; nothing was changed", "error", r)
}

// assemble makes everything that the actuators and the database are needed for.
func (s *System) assemble(ctx context.Context) (err error) {
	s.UoW = postgres.New(s.DB, s.vault, s.wake.Ring)
	s.directory = storetenancy.NewDirectory(s.DB)
	if err := s.makeAuth(); err != nil {
		return err
	}
	if s.sender, err = newSender(s.Mode, s.SMS, s.clock, s.Log); err != nil {
		return err
	}
	if s.journal, err = journal.Open(ctx, s.DB, 0); err != nil {
		return err
	}
	if s.Uses, err = s.makeUseCases(); err != nil {
		return err
	}
	s.own.assemble(s)
	if s.tail, err = events.Open(ctx, s.DB); err != nil {
		return err
	}
	s.worker = webhookhttp.New(webhooks.NewQueue(s.DB.Q(), s.tail.Q(), s.vault), s.clock, s.ids, apiVersions[0], s.Log)
	consumers := s.tail.Consumers()
	s.sub = outbox.NewSubscriber(s.tail.Reader(), consumers, s.name, s.wake, s.Log)
	if s.router, err = outbox.NewRouter(s.sub, consumers, s.Log); err != nil {
		return err
	}
	s.router.Consume("webhooks", s.worker.Handle)
	s.router.Consume("shadows", outbox.Only(s.own.shadows.Watch, "transaction.created"))
	s.router.Consume("transactions", outbox.Only(s.Uses.Transactions.FromPayments, "payment.succeeded"))
	s.probe = newProbe(s.DB, s.Host, s.Log)
	return nil
}

func (s *System) makeAuth() (err error) {
	s.auth, err = jwtauth.New(jwtauth.Options{
		Signing: s.secrets.Signing, Store: storetenancy.New(s.DB.Q()), Clock: s.clock, Modes: []tenancy.Mode{s.Mode}, Log: s.Log,
	})
	if err != nil {
		return err
	}
	s.watcher = storetenancy.NewWatcher(s.DB, tenancy.Listeners{s.directory, s.auth}, s.Log)
	return nil
}

func (s *System) listenHTTP(ctx context.Context) error {
	handler, err := s.handler()
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", s.Listen); err != nil {
		return fmt.Errorf("listen on %s: %w", s.Listen, err)
	}
	s.http = api.NewHTTPServer(handler, s.Log)
	return nil
}

// startBackground starts what runs until stop.
func (s *System) startBackground() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopped = cancel
	s.Uses.Pipeline.Start()
	run := func(what string, fn func(context.Context) error) {
		s.running.Go(func() {
			if err := fn(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, http.ErrServerClosed) {
				s.Log.Error("a part of the server ended", "part", what, "error", err)
			}
		})
	}
	run("http", func(context.Context) error { return s.http.Serve(s.listener) })
	run("events", s.router.Run)
	run("webhooks", s.worker.Run)
	run("watcher", func(ctx context.Context) error { s.watcher.Run(ctx); return nil })
	run("last use", func(ctx context.Context) error { s.auth.Run(ctx); return nil })
	run("heartbeats", func(ctx context.Context) error { s.writeHeartbeats(ctx); return nil })
	run("probe", func(ctx context.Context) error { s.probe.run(ctx); return nil })
	run("actuators", func(ctx context.Context) error { s.own.run(ctx); return nil })
	schedule := &scheduler{leases: jobs.New(s.DB.Q()), holder: s.name, log: s.Log}
	for _, j := range s.jobs() {
		run(j.name, func(ctx context.Context) error { schedule.run(ctx, j); return nil })
	}
}

// drainLimit bounds how long requests in flight may take to finish.
const drainLimit = 20 * time.Second

// Stop drains: health turns to 503, new requests are refused, those in flight
// finish, the background comes to rest, and the actuators end last.
func (s *System) Stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	if s.probe != nil {
		s.probe.drain()
	}
	if s.http != nil {
		if err := s.http.Shutdown(ctx); err != nil {
			s.Log.Warn("some requests did not finish in time", "error", err)
		}
	}
	if s.stopped != nil {
		s.Uses.Pipeline.Stop()
		s.stopped()
		_ = s.sub.Close()
		s.running.Wait()
	}
	if s.journal != nil {
		s.journal.Close()
	}
	if s.tail != nil {
		s.tail.Close()
	}
	if s.sender.close != nil {
		s.sender.close()
	}
	if s.Host != nil {
		if err := s.Host.Stop(ctx); err != nil {
			s.Log.Warn("an actuator did not end in time", "error", err)
		}
	}
}

// RunUntil serves until ctx ends, then drains. A database of our own that ends
// by itself is the end of the server too.
func (s *System) RunUntil(ctx context.Context, d *Database) error {
	var err error
	select {
	case <-ctx.Done():
		s.Log.Info("draining: requests in flight finish, new ones are refused")
	case <-d.Server.Done():
		err = errors.New("the database ended; its log is in the data directory")
	}
	s.Stop(context.WithoutCancel(ctx))
	s.Log.Info("stopped")
	return err
}

// derive makes a key for one purpose from the server's key.
func derive(serverKey []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, serverKey, nil, "feddi "+purpose, 32)
}

// serverName tells servers of one database apart in leases and logs.
func serverName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "server"
	}
	return host + "-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
}

// FirstParty are the actuators that every server runs. The required one, without
// which nobody pays, has a standby; what the others decide can wait.
func FirstParty() []pluginhost.Spec {
	wallet := pluginhost.Self("wallet", "actuator", "wallet")
	wallet.Standby = true
	return []pluginhost.Spec{
		wallet,
		pluginhost.Self("cashback", "actuator", "cashback"),
		pluginhost.Self("attribution", "actuator", "attribution"),
	}
}
