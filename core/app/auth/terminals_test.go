package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/api/feddi"
	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// count runs a statement that gives one number.
func (c *city) count(sql string, args ...any) int64 {
	c.t.Helper()
	n, err := pg.One[int64](c.t.Context(), c.db.Q(), sql, args...)
	must(c.t, err)
	return n
}

func (s *server) register(b box, key string, fields object) answer {
	s.city.t.Helper()
	return s.post("/auth/terminals", key, b.merchant, fields)
}

// listed are the ids of all pages of a list of terminals.
func (s *server) listed(key, query string) (ids []string) {
	s.city.t.Helper()
	for next := ""; ; {
		a := s.get("/auth/terminals?"+query+next, key).want(http.StatusOK, "")
		rows, _ := a.Data["terminals"].([]any)
		for _, r := range rows {
			ids = append(ids, r.(object)["terminal_id"].(string))
		}
		cursor, _ := a.Meta["next_cursor"].(string)
		if cursor == "" {
			return ids
		}
		next = "&cursor=" + cursor
	}
}

func TestATerminalIsRegisteredInTheKeysScope(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b, foreign := s.sandbox(), s.sandbox()
	other := c.grow(b)
	branch := s.post("/auth/keys", b.key, b.merchant, object{"scope": "branch", "branch_id": b.branch}).want(http.StatusCreated, "").str("raw_key")
	fields := object{"branch_id": b.branch, "name": "Counter 2", "serial_number": "SN-1", "model": "Mini 3", "reference": "till-2"}
	key := uuid.NewString()
	made := s.request(http.MethodPost, "/auth/terminals", branch, envelope(b.merchant, fields), key).want(http.StatusCreated, "")
	id := made.str("terminal.terminal_id")
	if diff := cmp.Diff(object{
		"terminal_id": id, "merchant_id": b.merchant, "brand_id": b.brand, "branch_id": b.branch, "name": "Counter 2", "state": "offline",
		"reference": "till-2", "serial_number": "SN-1", "model": "Mini 3", "software_version": nil, "last_heartbeat_at": nil,
		"created_at": made.str("terminal.created_at"),
	}, made.Data["terminal"]); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
	again := s.request(http.MethodPost, "/auth/terminals", branch, envelope(b.merchant, fields), key).want(http.StatusCreated, "")
	if again.str("terminal.terminal_id") != id || again.Meta["idempotency_replayed"] != true {
		t.Errorf("again %s", again.Body)
	}
	s.good(s.post("/auth/token", branch, b.merchant, object{"terminal_id": id}).want(http.StatusOK, "").str("token"))

	for what, row := range map[string]struct {
		key    string
		fields object
		status int
		code   string
	}{
		"another branch":         {branch, object{"branch_id": other.branch, "name": "x"}, http.StatusForbidden, "SCOPE_INSUFFICIENT"},
		"another merchant's":     {b.key, object{"branch_id": foreign.branch, "name": "x"}, http.StatusNotFound, "NOT_FOUND"},
		"the same serial number": {b.key, object{"branch_id": other.branch, "name": "x", "serial_number": "SN-1"}, http.StatusConflict, "DUPLICATE_REFERENCE"},
		"the same reference":     {b.key, object{"branch_id": other.branch, "name": "x", "reference": "till-2"}, http.StatusConflict, "DUPLICATE_REFERENCE"},
		"a terminal asks":        {s.token(b, b.key), fields, http.StatusForbidden, "SCOPE_INSUFFICIENT"},
	} {
		if a := s.register(b, row.key, row.fields); a.Status != row.status || a.Error.Code != row.code {
			t.Errorf("%s: %s", what, a.Body)
		}
	}
	s.register(foreign, foreign.key, object{"branch_id": foreign.branch, "name": "x", "serial_number": "SN-1", "reference": "till-2"}).want(http.StatusCreated, "")
}

func TestOneSerialNumberIsRegisteredOnce(t *testing.T) {
	t.Parallel()
	s := newCity(t).start()
	b := s.sandbox()
	var wg sync.WaitGroup
	codes := make([]string, 6)
	for i := range codes {
		wg.Go(func() {
			codes[i] = s.register(b, b.key, object{"branch_id": b.branch, "name": fmt.Sprint(i), "serial_number": "SN-7"}).Error.Code
		})
	}
	wg.Wait()
	slices.Sort(codes)
	if codes[0] != "" || codes[1] != "DUPLICATE_REFERENCE" || codes[5] != "DUPLICATE_REFERENCE" {
		t.Errorf("answers %v", codes)
	}
}

func TestTerminalsAreListedByBranchAndState(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b, foreign := s.sandbox(), s.sandbox()
	other := c.grow(b)
	var made []string
	for i := range 4 {
		c.clock.Advance(time.Second)
		at := b.branch
		if i == 3 {
			at = other.branch
		}
		made = append([]string{s.register(b, b.key, object{"branch_id": at, "name": fmt.Sprint(i)}).want(http.StatusCreated, "").str("terminal.terminal_id")}, made...)
	}
	all := append(slices.Clone(made), b.terminal, other.terminal)
	if got := s.listed(b.key, "limit=2"); !slices.Equal(got[:4], made) || len(got) != 6 || !sameSet(got, all) {
		t.Errorf("listed %v, want %v", got, all)
	}
	if got := s.listed(b.key, "branch_id="+other.branch); !sameSet(got, []string{made[0], other.terminal}) {
		t.Errorf("of the branch: %v", got)
	}
	branch := s.post("/auth/keys", b.key, b.merchant, object{"scope": "branch", "branch_id": other.branch}).want(http.StatusCreated, "").str("raw_key")
	if got := s.listed(branch, ""); !sameSet(got, []string{made[0], other.terminal}) {
		t.Errorf("for the branch's key: %v", got)
	}
	if got := s.listed(branch, "branch_id="+b.branch); len(got) != 0 {
		t.Errorf("another branch for the branch's key: %v", got)
	}
	if got := s.listed(foreign.key, ""); !slices.Equal(got, []string{foreign.terminal}) {
		t.Errorf("another merchant sees %v", got)
	}
	s.get("/auth/terminals?cursor=x", b.key).want(http.StatusBadRequest, "CURSOR_INVALID")
	s.get("/auth/terminals?state=silent", b.key).want(http.StatusBadRequest, "VALIDATION_FAILED")
	s.get("/auth/terminals", s.token(b, b.key)).want(http.StatusForbidden, "SCOPE_INSUFFICIENT")

	// States move with the time, and a retired one is disabled whenever it reported.
	beat := func(token string) {
		s.post("/auth/heartbeat", token, b.merchant, object{"software_version": "8.4.1"}).want(http.StatusOK, "")
	}
	beat(s.token(b, b.key))
	beat(s.token(other, b.key))
	must(t, store.New(c.db.Q()).SetTerminalStatus(t.Context(), tenantOf(t, c, b), made[3], "retired"))
	for _, step := range []struct {
		pass  time.Duration
		state string
	}{{90 * time.Second, "online"}, {time.Second, "late"}, {509 * time.Second, "late"}, {time.Second, "offline"}} {
		c.clock.Advance(step.pass)
		want := map[string][]string{"online": nil, "late": nil, "offline": made[:3], "disabled": made[3:]}
		want[step.state] = append([]string{b.terminal, other.terminal}, want[step.state]...)
		for state, ids := range want {
			if got := s.listed(b.key, "state="+state); !sameSet(got, ids) {
				t.Errorf("%s after %v: %v, want %v", state, step.pass, got, ids)
			}
		}
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func TestAHeartbeatSaysWhatChanged(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b := s.sandbox()
	tenant := tenantOf(t, c, b)
	token := ""
	state := ""
	beat := func(want ...any) answer {
		t.Helper()
		c.clock.Advance(30 * time.Second)
		token = s.token(b, b.key)
		fields := object{"software_version": "8.4.1", "terminal_time": c.clock.Now().Add(-1500 * time.Millisecond).Format(time.RFC3339Nano)}
		if state != "" {
			fields["state_token"] = state
		}
		a := s.post("/auth/heartbeat", token, b.merchant, fields).want(http.StatusOK, "")
		if want == nil {
			want = []any{}
		}
		if diff := cmp.Diff(want, a.Data["changed"]); diff != "" {
			t.Errorf("changed (-want +got):\n%s", diff)
		}
		state = a.str("state_token")
		return a
	}
	first := beat("capabilities", "offers", "reload_bonus", "topup_skus")
	if first.Data["clock_skew_ms"] != -1500.0 || first.Data["next_heartbeat_seconds"] != 30.0 || first.str("terminal.state") != "online" ||
		first.str("terminal.software_version") != "8.4.1" || first.str("terminal.last_heartbeat_at") != first.str("server_time") {
		t.Errorf("answered %s", first.Body)
	}
	beat()
	_, err := ledger.New(c.db.Q()).SetTiers(t.Context(), tenant, core.Tiers{Currency: "USD", Steps: []core.Tier{{MinTopupMinor: 1000, BonusMinor: 50}}}, c.clock.Now())
	must(t, err)
	beat("reload_bonus")
	_, _, err = ledger.New(c.db.Q()).PutSKU(t.Context(), core.SKU{Tenant: tenant, ID: "TOPUP-5", Name: "5", ValueMinor: 500, Currency: "USD", Active: true, UpdatedAt: c.clock.Now()})
	must(t, err)
	set := tenancy.DefaultSettings("USD")
	set.CashbackBP = 700
	must(t, store.New(c.db.Q()).SaveSettings(t.Context(), tenant, set))
	beat("capabilities", "topup_skus")
	_, err = c.db.Q().Exec(t.Context(), `INSERT INTO offer_catalogues (tenant_no, version) VALUES ($1, 1) ON CONFLICT (tenant_no) DO UPDATE SET version = offer_catalogues.version + 1`, tenant.No)
	must(t, err)
	beat("offers")
	beat()
	elsewhere := s.sandbox()
	strange := s.post("/auth/heartbeat", s.token(elsewhere, elsewhere.key), elsewhere.merchant, object{"software_version": "1"}).want(http.StatusOK, "").str("state_token")
	for _, none := range []string{"x", state + "A", strange} {
		state = none
		beat("capabilities", "offers", "reload_bonus", "topup_skus")
	}

	s.probe.set(feddi.Health{Degraded: []string{"actuator:cashback"}})
	if a := beat(); cmp.Diff([]any{"actuator:cashback"}, a.Data["degraded_subsystems"]) != "" {
		t.Errorf("degraded: %s", a.Body)
	}
	s.post("/auth/heartbeat", b.key, b.merchant, object{"software_version": "1"}).want(http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.post("/auth/heartbeat", token, b.merchant, nil).want(http.StatusBadRequest, "VALIDATION_FAILED")
}

// TestHeartbeatsCostNextToNothing: what a thousand of them write of a terminal
// is one row, later, and what they read of its merchant is one query a second.
func TestHeartbeatsCostNextToNothing(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b := s.sandbox()
	token := s.token(b, b.key)
	key, body := uuid.NewString(), envelope(b.merchant, object{"software_version": "8.4.1"})
	first := s.request(http.MethodPost, "/auth/heartbeat", token, body, key).want(http.StatusOK, "")
	seen := func() int64 {
		return c.count(`SELECT count(*) FROM terminals WHERE terminal_id = $1 AND last_seen_at = $2 AND software_version = '8.4.1'`, b.terminal, c.clock.Now())
	}
	if seen() != 0 {
		t.Error("a heartbeat wrote its terminal at once")
	}
	before := c.count(`SELECT count(*) FROM tenancy_changes`)
	must(t, s.terminals.Flush(t.Context()))
	if seen() != 1 {
		t.Error("the heartbeat was not written")
	}
	if after := c.count(`SELECT count(*) FROM tenancy_changes`); after != before {
		t.Error("a heartbeat is told to every server, which then forgets the terminal")
	}
	at := c.clock.Now()
	c.clock.Advance(5 * time.Second)
	again := s.request(http.MethodPost, "/auth/heartbeat", token, body, key).want(http.StatusOK, "")
	if again.Meta["idempotency_replayed"] != true || again.str("server_time") != first.str("server_time") {
		t.Errorf("%s and again %s", first.Body, again.Body)
	}
	must(t, s.terminals.Flush(t.Context()))
	if n := c.count(`SELECT count(*) FROM terminals WHERE terminal_id = $1 AND last_seen_at = $2`, b.terminal, at); n != 1 {
		t.Error("a replay counts as a report")
	}
	// A report that arrives late does not take the time back.
	must(t, store.New(c.db.Q()).Seen(t.Context(), map[string]tenancy.Heartbeat{b.terminal: {At: at.Add(-time.Minute), SoftwareVersion: "old"}}))
	if n := c.count(`SELECT count(*) FROM terminals WHERE terminal_id = $1 AND last_seen_at = $2 AND software_version = '8.4.1'`, b.terminal, at); n != 1 {
		t.Error("an earlier report overwrote a later one")
	}
}

func TestManyServersWriteTheSameHeartbeats(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	s := c.start()
	b := s.sandbox()
	ids := []string{b.terminal}
	for i := range 20 {
		ids = append(ids, s.register(b, b.key, object{"branch_id": b.branch, "name": fmt.Sprint(i)}).want(http.StatusCreated, "").str("terminal.terminal_id"))
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			beats := map[string]tenancy.Heartbeat{}
			for _, id := range ids {
				beats[id] = tenancy.Heartbeat{At: epoch.Add(time.Hour + time.Duration(n)*time.Second), SoftwareVersion: fmt.Sprint(n)}
			}
			if err := store.New(c.db.Q()).Seen(t.Context(), beats); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := c.count(`SELECT count(*) FROM terminals WHERE software_version = '7'`); n != int64(len(ids)) {
		t.Errorf("%d of %d terminals have the latest report", n, len(ids))
	}
}

// TestListsOfTerminalsUseTheirIndexes explains each statement on many rows.
func TestListsOfTerminalsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	c := newCity(t)
	b := c.start().sandbox()
	tenant := tenantOf(t, c, b)
	_, err := c.db.Q().Exec(t.Context(), `INSERT INTO terminals (terminal_id, tenant_no, brand_id, branch_id, name, created_at)
		SELECT 'trm_' || n, $1, $2, $3, 'x', now() + n * interval '1 second' FROM generate_series(1, 3000) n`, tenant.No, b.brand, b.branch)
	must(t, err)
	_, err = c.db.Q().Exec(t.Context(), `ANALYZE terminals`)
	must(t, err)
	for statement, index := range map[string]string{
		`SELECT terminal_id FROM terminals WHERE tenant_no = 1 AND (created_at, terminal_id) < (now() + interval '1 year', '') ORDER BY created_at DESC, terminal_id DESC LIMIT 51`:                            "terminals_list",
		`SELECT terminal_id FROM terminals WHERE tenant_no = 1 AND branch_id = 'brn_x' AND (created_at, terminal_id) < (now() + interval '1 year', '') ORDER BY created_at DESC, terminal_id DESC LIMIT 51`:    "terminals_branch_list",
		`SELECT session_id FROM checkout_sessions WHERE tenant_no = 1 AND terminal_id = 'x' AND terminal_id <> '' AND state = 'open' AND expires_at > now() ORDER BY opened_at DESC, session_id DESC LIMIT 20`: "checkout_sessions_terminal",
		`SELECT event_id FROM events WHERE tenant_no = 1 AND subject = ANY (ARRAY['cs_x', 'pay_y']) AND (starts_with(subject, 'cs_') OR type IN
		    ('payment.authorized', 'payment.voided', 'payment.refunded', 'topup.prepared', 'topup.completed', 'topup.reversed', 'topup.settled')) ORDER BY xid, position LIMIT 10`: "events_subject",
		`SELECT topup_id FROM topups WHERE tenant_no = 1 AND session_id = 'cs_x'`: "topups_session",
	} {
		must(t, pg.Tx(t.Context(), c.db, func(ctx context.Context, q pg.Q) error {
			if _, err := q.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
				return err
			}
			plan, err := pg.Many[string](ctx, q, `EXPLAIN `+statement)
			if err == nil && !strings.Contains(strings.Join(plan, "\n"), index) {
				t.Errorf("%s does not use %s:\n%s", statement, index, strings.Join(plan, "\n"))
			}
			return err
		}))
	}
}
