package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pgdev"
	"github.com/feddi/feddi/test/internal/feddid"
)

// Without a database every operation but health and the document is refused as
// what it is: down for now, to be tried again with the same key. None fails
// inside, and none says that it did something.
func TestEveryOperationWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	postgres, err := pgdev.Start(t.Context(), pgdev.Options{Dir: filepath.Join(t.TempDir(), "pg"), Private: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = postgres.Stop(context.WithoutCancel(t.Context())) })
	server := startOwn(t, feddid.Options{Binary: system.binary, DSN: postgres.DSN(""), DataDir: t.TempDir()})
	s := stockUp(openOn(t, server.URL))
	calls := map[string]request{}
	for _, op := range callable(t, http.MethodPost) {
		calls[op.ID] = s.good(op)
	}
	for _, op := range callable(t, http.MethodGet) {
		r := request{method: http.MethodGet, path: s.path(op), as: s.caller(op)}
		switch op.ID {
		case "getHealth", "getOpenApiSpec":
			continue
		case "lookupCustomer":
			r.path += "?phone=%2B14155550123"
		}
		calls[op.ID] = r
	}
	if err := postgres.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if status, body := server.Health(t.Context()); status != http.StatusServiceUnavailable {
			return fmt.Errorf("health: %d %s", status, body)
		}
		return nil
	})
	if a := sendTo(t, server.URL, request{method: http.MethodGet, path: "/health"}); a.Status != http.StatusServiceUnavailable || a.code() != "SUBSYSTEM_DEGRADED" {
		t.Errorf("health: %d %s", a.Status, a.Raw)
	}
	for id, r := range calls {
		a := sendTo(t, server.URL, r)
		if cached[id] && a.Status == http.StatusOK {
			continue
		}
		retryable, _ := a.at("error.retryable").(bool)
		if a.Status != http.StatusServiceUnavailable || a.code() != "SUBSYSTEM_DEGRADED" || !retryable || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", id, a.Status, a.Raw)
		}
	}
}

// cached are the reads that a server may answer from what it holds in memory.
var cached = map[string]bool{"getCapabilities": true, "getEventCatalog": true, "validateTerminalToken": true}
