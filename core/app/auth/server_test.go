package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/feddi"
	apimerchants "github.com/feddi/feddi/adapters/api/feddi/merchants"
	apiterminals "github.com/feddi/feddi/adapters/api/feddi/terminals"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/adapters/jwtauth"
	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/idempotency"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/adapters/ratelimit"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/auth"
	"github.com/feddi/feddi/core/app/merchants"
	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/app/terminals"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

var epoch = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

var master = bytes.Repeat([]byte{42}, 32)

// city is a database with a clock; servers stand on it.
type city struct {
	t     *testing.T
	db    *pg.DB
	clock *clock.Manual
	ids   *ids.Source
	// deaf servers do not follow what others change.
	deaf bool
}

func newCity(t *testing.T) *city {
	t.Helper()
	clk := clock.NewManual(epoch)
	return &city{t: t, db: pgtest.New(t), clock: clk, ids: ids.New(clk)}
}

// server is one server process: its own caches, watcher and door.
type server struct {
	city    *city
	url     string
	auth    *jwtauth.Authenticator
	secrets tenancy.Secrets
	probe   *probe
	// terminals is what hears the heartbeats of this server.
	terminals *terminals.Service
}

type probe struct {
	mu     sync.Mutex
	health feddi.Health
}

func (p *probe) Health() feddi.Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.health
}

func (p *probe) set(h feddi.Health) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.health = h
}

// loaded are the actuators of a server, for any merchant.
type loaded []actuation.Status

func (l loaded) LoadedFor(string) []actuation.Status { return l }

// start starts a server on the database of c.
func (c *city) start() *server {
	c.t.Helper()
	s := &server{city: c, probe: &probe{health: feddi.Health{Ready: true}}}
	var err error
	s.secrets, err = store.OpenSecrets(c.t.Context(), c.db, master, c.clock.Now())
	must(c.t, err)
	log := slog.New(slog.DiscardHandler)
	s.auth, err = jwtauth.New(jwtauth.Options{
		Signing: s.secrets.Signing, Store: store.New(c.db.Q()), Clock: c.clock, Modes: []tenancy.Mode{tenancy.Sandbox}, Log: log,
	})
	must(c.t, err)
	directory := store.NewDirectory(c.db)
	listeners := tenancy.Listeners{directory, s.auth}
	if !c.deaf {
		c.background(store.NewWatcher(c.db, listeners, log).Run)
	}
	uow := postgres.New(c.db, nil, nil)
	service := &auth.Service{UoW: uow, Clock: c.clock, IDs: c.ids, Directory: directory, Tokens: s.auth, Changes: listeners}

	s.terminals = &terminals.Service{
		UoW: uow, Clock: c.clock, IDs: c.ids, Directory: directory, Version: "1.2.3", Degraded: func() []string { return s.probe.Health().Degraded },
	}

	catalogue, err := api.Catalogue()
	must(c.t, err)
	reg := pipeline.NewRegistry(catalogue, tenancy.Sandbox)
	feddi.RegisterAuth(reg, feddi.AuthDeps{Auth: service, Sandbox: &sandbox.Service{UoW: uow, Clock: c.clock, IDs: c.ids}})
	apiterminals.Register(reg, s.terminals)
	apimerchants.Register(reg, &merchants.Service{UoW: uow, Clock: c.clock, IDs: c.ids, Changes: listeners})
	feddi.RegisterPlatform(reg, feddi.PlatformDeps{
		Directory: directory, Probe: s.probe, Version: "1.2.3", APIVersions: pipeline.Versions,
		Actuators: loaded{{
			Manifest: actuation.Manifest{Name: "wallet", Version: "1.0.0", DecisionKinds: []actuation.Kind{actuation.KindWalletDebit}, Policy: actuation.Required},
			State:    actuation.StateFailed,
		}},
	})
	door, err := api.New(pipeline.Config{
		Registry: reg, Auth: s.auth, Places: feddi.Places{Directory: directory}, Replays: idempotency.New(c.db.Q()),
		Limits: ratelimit.New(c.clock, map[string]ratelimit.Rule{
			pipeline.KeyLimit: ratelimit.PerKey(), pipeline.SandboxLimit: ratelimit.SandboxesPerAddress(),
		}),
		Clock: c.clock, IDs: c.ids, Versions: pipeline.Versions, ServerKey: s.secrets.ServerKey, Log: log,
	})
	must(c.t, err)
	listening := httptest.NewServer(door)
	c.t.Cleanup(func() {
		listening.Close()
		if n := door.Pipeline.Defects(); n != 0 {
			c.t.Errorf("%d answers were not pinned", n)
		}
	})
	s.url = listening.URL + api.Base
	return s
}

// background runs f until the test ends.
func (c *city) background(f func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { f(ctx) })
	c.t.Cleanup(func() { stop(); wg.Wait() })
}

type object = map[string]any

// answer is what came back.
type answer struct {
	t      *testing.T
	Status int
	Header http.Header
	Body   string
	OK     bool
	Data   object
	Meta   object
	Error  struct {
		Code, Message string
		Details       []struct{ Field, Rule string }
	}
}

// want fails the test unless the answer has status and, for a failure, code.
func (a answer) want(status int, code string) answer {
	a.t.Helper()
	if a.Status != status || a.Error.Code != code {
		a.t.Fatalf("got %d %s, want %d %s: %s", a.Status, a.Error.Code, status, code, a.Body)
	}
	return a
}

// str reads a member by path, "key.key_id" for example.
func (a answer) str(path string) string {
	a.t.Helper()
	var v any = a.Data
	for part := range strings.SplitSeq(path, ".") {
		m, ok := v.(object)
		if !ok {
			a.t.Fatalf("no %s in %s", path, a.Body)
		}
		v = m[part]
	}
	s, _ := v.(string)
	return s
}

// request sends one call. credential is a raw key or a token. Safe for
// concurrent use.
func (s *server) request(method, path, credential string, body object, key string) answer {
	t := s.city.t
	t.Helper()
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		must(t, err)
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+path, reader)
	must(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	switch {
	case strings.HasPrefix(credential, "fddi_"):
		req.Header.Set("x-api-key", credential)
	case credential != "":
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	must(t, err)
	a := answer{t: t, Status: res.StatusCode, Header: res.Header, Body: string(raw)}
	must(t, json.Unmarshal(raw, &a))
	return a
}

func (s *server) get(path, credential string) answer {
	s.city.t.Helper()
	return s.request(http.MethodGet, path, credential, nil, "")
}

// post sends fields beside meta and the context of a merchant.
func (s *server) post(path, credential, merchant string, fields object) answer {
	s.city.t.Helper()
	return s.request(http.MethodPost, path, credential, envelope(merchant, fields), uuid.NewString())
}

func envelope(merchant string, fields object) object {
	body := object{"meta": object{"api_version": "2026-06-01"}, "context": object{"merchant_id": merchant}}
	for k, v := range fields {
		body[k] = v
	}
	return body
}

// box is a sandbox of its own, as its maker knows it.
type box struct{ key, keyID, partner, merchant, brand, branch, terminal string }

// sandbox makes one over the API.
func (s *server) sandbox() box {
	s.city.t.Helper()
	s.city.clock.Advance(10 * time.Second) // stay within the limit
	a := s.post("/auth/keys/sandbox", "", "", nil).want(http.StatusCreated, "")
	return box{
		key: a.str("raw_key"), keyID: a.str("key.key_id"), partner: a.str("integration_id"), merchant: a.str("merchant_id"),
		brand: a.str("brand_id"), branch: a.str("branch_id"), terminal: a.str("terminal_id"),
	}
}

// token exchanges key for a token of the box's terminal.
func (s *server) token(b box, key string) string {
	s.city.t.Helper()
	return s.post("/auth/token", key, b.merchant, object{"terminal_id": b.terminal}).want(http.StatusOK, "").str("token")
}

// grow adds another brand with a branch and a terminal to the box's merchant.
func (c *city) grow(b box) box {
	c.t.Helper()
	st := store.New(c.db.Q())
	m, err := store.NewDirectory(c.db).Merchant(c.t.Context(), b.merchant)
	must(c.t, err)
	b.brand, b.branch, b.terminal = c.ids.Make(ids.Brand), c.ids.Make(ids.Branch), c.ids.Make(ids.Terminal)
	must(c.t, st.AddBrand(c.t.Context(), m.Tenant(), tenancy.Brand{ID: b.brand, Name: "Other", CreatedAt: epoch}))
	must(c.t, st.AddBranch(c.t.Context(), m.Tenant(), tenancy.Branch{ID: b.branch, BrandID: b.brand, Name: "Other", CreatedAt: epoch}))
	must(c.t, st.AddTerminal(c.t.Context(), m.Tenant(), tenancy.Terminal{
		ID: b.terminal, BrandID: b.brand, BranchID: b.branch, Name: "Other", Status: tenancy.TerminalActive, CreatedAt: epoch,
	}))
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until asks again and again whether done, and returns how long it took.
func until(t *testing.T, what string, done func() bool) time.Duration {
	t.Helper()
	for began := time.Now(); ; {
		if done() {
			return time.Since(began)
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%s did not happen", what)
		}
	}
}
