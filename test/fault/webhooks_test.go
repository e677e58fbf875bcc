package fault_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/test/internal/rig"
)

// ear hears which events arrive, and how often.
type ear struct {
	mu    sync.Mutex
	heard map[string]int
}

// ServeHTTP implements http.Handler.
func (e *ear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var got struct{ ID string }
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
		w.WriteHeader(http.StatusBadRequest) // cut off by the server's end: it comes again
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard[got.ID]++
}

// lacks says what of ids never arrived.
func (e *ear) lacks(ids []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	missing, twice := 0, 0
	for _, id := range ids {
		switch e.heard[id] {
		case 0:
			missing++
		case 1:
		default:
			twice++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d events did not arrive, %d came twice", missing, len(ids), twice)
	}
	return nil
}

// A server that is killed between a post and its record, or between the record
// and its place in the log, loses no event: each of a committed payment arrives,
// and is known as delivered.
func TestKilledServerLosesNoWebhook(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := pgtest.DSN(t)
	s := launch(t, dsn, 8)
	e := &ear{heard: map[string]int{}}
	receiver := httptest.NewServer(e)
	t.Cleanup(receiver.Close)
	rig.Must(t, s.Shop.Subscribe(ctx, receiver.URL, "payment.succeeded"))
	load := s.Shop.Load(ctx, 8)
	for range 4 {
		rig.Must(t, load.Taken(ctx, 40))
		s.Server.Kill()
		s.Again()
	}
	rig.Must(t, load.Taken(ctx, 40))
	s.Settle(load, dsn)

	db, err := pg.Connect(ctx, dsn, pg.Options{})
	rig.Must(t, err)
	t.Cleanup(db.Close)
	published, err := pg.Many[string](ctx, db.Q(), `select event_id from events where type = 'payment.succeeded'`)
	rig.Must(t, err)
	rig.Eventually(t, func() error {
		// What a killed server had under way comes back when its lease ends; now.
		if _, err := db.Q().Exec(ctx, `update webhook_deliveries set due_at = now() where state = 0 and due_at > now()`); err != nil {
			return err
		}
		if err := e.lacks(published); err != nil {
			return err
		}
		n, err := pg.One[int](ctx, db.Q(), `select count(*)::int from webhook_deliveries where state = 2`)
		if err == nil && n != len(published) {
			err = fmt.Errorf("%d of %d deliveries are known as delivered", n, len(published))
		}
		return err
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	again := 0
	for _, n := range e.heard {
		again += n - 1
	}
	t.Logf("%d events arrived, %d posts were repetitions", len(published), again)
}
