package fault_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/test/internal/line"
	"github.com/feddi/feddi/test/internal/rig"
	"github.com/feddi/feddi/test/internal/trade"
)

// cutting is the line's rules where no connection lives long: each ends after
// some bytes, wherever that is in a statement or its answer, and some answers,
// more of them to payments, are lost after the database has done its work.
func cutting() line.Rules {
	return line.Rules{
		Bytes: func() int64 { return 2_000 + rand.Int64N(300_000) },
		Lose: func(application string) bool {
			if application == "feddi payments" {
				return rand.IntN(8) == 0
			}
			return rand.IntN(40) == 0
		},
	}
}

func TestConnectionsCutInMidStatement(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := pgtest.DSN(t)
	l, through := rig.LineTo(t, func() (string, error) { return dsn, nil })
	s := launch(t, through, 8)
	load := s.Shop.Load(ctx, 8)
	rig.Must(t, load.Taken(ctx, 20))
	l.Set(cutting())
	l.Cut()
	// Some were committed, and nobody was told: their repetition finds them.
	rig.Must(t, load.Await(ctx, func(c trade.Counts) bool { return c.Taken >= 120 && c.Replayed >= 3 && l.Cuts() >= 30 }))
	l.Set(line.Rules{})
	rig.Must(t, load.Taken(ctx, 40))
	s.Settle(load, dsn)
}

// A network that lost its way ends no connection: the server must give up on
// them by itself, and answer.
func TestConnectionsSilent(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := pgtest.DSN(t)
	l, through := rig.LineTo(t, func() (string, error) { return dsn, nil })
	s := launch(t, through, 8)
	load := s.Shop.Load(ctx, 8)
	rig.Must(t, load.Taken(ctx, 40))
	l.Hold()
	s.Healthy(http.StatusServiceUnavailable)
	rig.Must(t, load.Await(ctx, func(c trade.Counts) bool {
		return c.Refused[http.StatusServiceUnavailable]+c.Refused[http.StatusGatewayTimeout] >= 8
	}))
	l.Release()
	s.Healthy(http.StatusOK)
	rig.Must(t, load.Taken(ctx, 40))
	s.Settle(load, dsn)
}

// A slow database fills the queue, and a full queue says so at once instead of
// letting tills wait for nothing.
func TestSlowDatabaseIsAnsweredEarly(t *testing.T) {
	t.Parallel()
	const codes, tills, delay = 32, 44, 250 * time.Millisecond
	ctx := t.Context()
	dsn := pgtest.DSN(t)
	l, through := rig.LineTo(t, func() (string, error) { return dsn, nil })
	s := launch(t, through, 8)
	payments := make([]*trade.Payment, codes)
	for i := range payments {
		var err error
		payments[i], err = s.Shop.NewPayment(ctx, s.Shop.Guests[i%8], 100)
		rig.Must(t, err)
	}
	l.Set(line.Rules{Delay: delay})
	// Each code is tried by many tills at once: it pays once.
	crowd := make([]*trade.Payment, 0, codes*tills)
	for range tills {
		for _, p := range payments {
			crowd = append(crowd, p.Twin())
		}
	}
	answers := together(crowd, func(p *trade.Payment) trade.Answer { return s.Shop.Send(ctx, &p.Intent) })
	early, late := time.Hour, time.Hour
	for _, a := range answers {
		switch {
		case a.Code == "OVERLOADED":
			early = min(early, a.Took)
			if a.Status != http.StatusTooManyRequests || !a.Retryable || a.RetryAfter == "" {
				t.Fatalf("a full queue was answered %s, retryable %v, Retry-After %q", a, a.Retryable, a.RetryAfter)
			}
		case a.Status == http.StatusCreated:
			late = min(late, a.Took)
		case a.Code != "CREDENTIAL_USED" && !a.Repeat():
			t.Fatalf("answered %s %s", a, a.Data)
		}
	}
	if early >= late || late < 2*delay {
		t.Errorf("the first refusal took %v, the first payment %v", early, late)
	}
	l.Set(line.Rules{})
	// With time to spare every till gets its answer, by the key that it has.
	var taken []*trade.Payment
	for some := range slices.Chunk(crowd, 128) {
		for i, a := range together(some, func(p *trade.Payment) trade.Answer { return s.Shop.Send(ctx, &p.Intent) }) {
			switch {
			case a.Status == http.StatusCreated:
				taken = append(taken, some[i])
			case a.Code != "CREDENTIAL_USED" || some[i].Receipt() != nil:
				t.Fatalf("repeated with time to spare, it was answered %s %s", a, a.Data)
			}
		}
	}
	if len(taken) != codes {
		t.Errorf("%d codes paid %d times", codes, len(taken))
	}
	s.Balance(trade.Told{Payments: taken}, trade.Counts{}, dsn)
}

// together sends all payments at once. Answer i is to payment i.
func together(payments []*trade.Payment, send func(*trade.Payment) trade.Answer) []trade.Answer {
	answers := make([]trade.Answer, len(payments))
	var wg sync.WaitGroup
	for i := range payments {
		wg.Go(func() { answers[i] = send(payments[i]) })
	}
	wg.Wait()
	return answers
}
