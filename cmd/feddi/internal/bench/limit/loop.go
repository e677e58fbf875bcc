package limit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
)

// loop is the measurement where pgbench is not installed. It reaches about 0.7
// of what pgbench does, so that ratios against it look better than they are;
// the report names the tool.
func (l *Limit) loop(ctx context.Context, clients int, d time.Duration) (Measure, error) {
	ctx, cancel := context.WithTimeout(ctx, d+time.Minute)
	defer cancel()
	config, err := pgx.ParseConfig(l.db.DSN())
	if err != nil {
		return Measure{}, err
	}
	conns := make([]*pgx.Conn, clients)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close(context.WithoutCancel(ctx)) // all was read
			}
		}
	}()
	text := fmt.Sprintf(statement, "$1::text", "$2::bigint", "$3::bigint")
	for i := range conns {
		if conns[i], err = pgx.ConnectConfig(ctx, config); err != nil {
			return Measure{}, err
		}
		if _, err := conns[i].Prepare(ctx, "debit", text); err != nil {
			return Measure{}, err
		}
	}
	return l.race(ctx, conns, d)
}

func (l *Limit) race(ctx context.Context, conns []*pgx.Conn, d time.Duration) (Measure, error) {
	parts, failed := make([]load.Histogram, len(conns)), make([]error, len(conns))
	var all sync.WaitGroup
	begin := time.Now()
	for i, c := range conns {
		all.Go(func() {
			for now := time.Now(); now.Sub(begin) < d && failed[i] == nil; {
				key := strconv.FormatUint(rand.Uint64(), 10) + "-" + strconv.FormatUint(rand.Uint64(), 10)
				_, failed[i] = c.Exec(ctx, "debit", key, 1+rand.Int64N(int64(l.wallets)), 1+rand.Int64N(500))
				after := time.Now()
				parts[i].Record(after.Sub(now))
				now = after
			}
		})
	}
	all.Wait()
	elapsed := time.Since(begin)
	var h load.Histogram
	for i := range parts {
		h.Merge(&parts[i])
	}
	return Measure{
		Clients: len(conns), Debits: h.Count(), Rate: float64(h.Count()) / elapsed.Seconds(),
		P50: h.Quantile(0.5), P99: h.Quantile(0.99), Max: h.Max(),
	}, errors.Join(failed...)
}
