// Package stage furnishes a database for a load run: merchants (sandboxes of
// their own), wallets with money in them, lots of promotional credit,
// single-use codes and open sessions. Merchants are made by their use case;
// the rest is written in bulk, row for row what the use cases would leave in
// the tables of money and identity, without the news of it (events). A ledger
// verification after the run covers these rows too.
package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/ids"
)

// Currency is that of every merchant and wallet on the stage.
const Currency = "USD"

// Merchant is a merchant with one brand, branch and terminal.
type Merchant struct {
	sandbox.Credentials
	// Token is the terminal's, from Sign; good for ten minutes.
	Token string
}

// Stage is a furnished database. It is filled by one goroutine.
type Stage struct {
	db    *pg.DB
	ids   *ids.Source
	clock clock.Clock
	// Merchants are those who are paid.
	Merchants []*Merchant
	plain     []guest // with actual money only
	phones    int
}

// guest is a customer of one of the merchants.
type guest struct {
	merchant int
	id       string
}

// Open makes n merchants with create.
func Open(ctx context.Context, db *pg.DB, n int, create func(context.Context, sandbox.Input) (sandbox.Credentials, error)) (*Stage, error) {
	s := &Stage{db: db, clock: clock.System{}, ids: ids.New(clock.System{})}
	for i := range n {
		c, err := create(ctx, sandbox.Input{Currency: Currency, Name: fmt.Sprintf("Bench %d", i+1)})
		if err != nil {
			return nil, fmt.Errorf("make merchant %d: %w", i+1, err)
		}
		s.Merchants = append(s.Merchants, &Merchant{Credentials: c})
	}
	return s, nil
}

// Sign gets a fresh terminal token for every merchant from the server at url.
func (s *Stage) Sign(ctx context.Context, url string) error {
	for _, m := range s.Merchants {
		var answer struct {
			Data struct{ Token string }
		}
		body := map[string]any{
			"meta": map[string]any{"api_version": "2026-06-01"}, "terminal_id": m.Terminal.ID,
			"context": map[string]any{"merchant_id": m.Merchant.ID},
		}
		if err := Post(ctx, url+"/v1/partner/auth/token", m.Raw, body, &answer); err != nil {
			return err
		}
		m.Token = answer.Data.Token
	}
	return nil
}

// Post makes one call with an API key, outside of anything that is measured.
func Post(ctx context.Context, url, key string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", uuid.NewString())
	req.Header.Set("X-Api-Key", key)
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read to the end
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s answered %d: %.300s", url, res.StatusCode, answer)
	}
	return json.Unmarshal(answer, into)
}

// Settle makes the planner and the visibility map know what was written, as
// autovacuum would within minutes.
func (s *Stage) Settle(ctx context.Context) error {
	for _, table := range tables {
		if _, err := s.db.Pool().Exec(ctx, "VACUUM ANALYZE "+table.name); err != nil {
			return err
		}
	}
	return nil
}
