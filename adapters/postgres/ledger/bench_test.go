package ledger_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/identity"
)

// BenchmarkPayments takes payments of random wallets through the pipeline with
// as many callers as named: the debit engine in process. Run it on a server of
// your own (FEDDI_TEST_DATABASE_URL) to measure durable commits, and compare
// with pgbench of a bare single-statement debit on the same server.
func BenchmarkPayments(b *testing.B) {
	for _, callers := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchmarkPayments(b, callers) })
	}
}

func benchmarkPayments(b *testing.B, callers int) {
	s := setup(b)
	count := &counting{Journal: s.journal}
	pipeline := s.pipeline(count)
	pipeline.Start()
	b.Cleanup(pipeline.Stop)
	s.payments.Pipeline = pipeline
	const wallets = 10_000
	for _, sql := range []string{
		`INSERT INTO customers (customer_id, tenant_no, phone, state, created_at)
			SELECT 'cus_' || lpad(i::text, 26, '0'), $1, '+1' || (2000000000 + i), 'VERIFIED', now() FROM generate_series(1, $2::int) i`,
		`INSERT INTO wallets (tenant_no, customer_id, currency, actual_minor)
			SELECT $1, 'cus_' || lpad(i::text, 26, '0'), 'USD', 1000000000 FROM generate_series(1, $2::int) i`,
	} {
		_, err := s.db.Q().Exec(b.Context(), sql, s.tenant.No, wallets)
		must(b, err)
	}
	// Codes are numbered; the database hashes them as the server does.
	const mint = `INSERT INTO payment_codes (code_hash, tenant_no, customer_id, kind, expires_at)
		SELECT sha256(convert_to('bench-' || i, 'UTF8')), $1, 'cus_' || lpad((1 + i % $3)::text, 26, '0'), 'qr', '2027-01-01' FROM generate_series(0, $2::int - 1) i`
	_, err := s.db.Q().Exec(b.Context(), mint, s.tenant.No, b.N, wallets)
	must(b, err)
	_, err = s.db.Q().Exec(b.Context(), "ANALYZE")
	must(b, err)
	if sum := sha256.Sum256([]byte("bench-0")); string(identity.HashCode(s.tenant, identity.Credential{Type: identity.QR, Value: "bench-0"})) != string(sum[:]) {
		b.Fatal("codes are hashed in another way now")
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(b.N) {
					return
				}
				code := identity.Credential{Type: identity.QR, Value: fmt.Sprint("bench-", i)}
				if _, err := s.payments.Authorize(b.Context(), s.call("paymentAuthorize"), payments.AuthorizeInput{AmountMinor: 1 + i%500, Currency: "USD", Credential: code}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
	if n := count.commits.Load(); n > 0 {
		b.ReportMetric(float64(b.N)/float64(n), "payments/commit")
		b.ReportMetric(float64(count.reading.Load())/float64(n)/1e6, "ms/read")
		b.ReportMetric(float64(count.committing.Load())/float64(n)/1e6, "ms/commit")
	}
}

// counting tells how payments travel.
type counting struct {
	payments.Journal
	commits, reading, committing atomic.Int64
}

func (c *counting) Read(ctx context.Context, wants []payments.Want, now time.Time) ([]payments.State, error) {
	began := time.Now()
	defer func() { c.reading.Add(int64(time.Since(began))) }()
	return c.Journal.Read(ctx, wants, now)
}

func (c *counting) Commit(ctx context.Context, batch []payments.Posting) error {
	began := time.Now()
	defer func() { c.committing.Add(int64(time.Since(began))) }()
	c.commits.Add(1)
	return c.Journal.Commit(ctx, batch)
}
