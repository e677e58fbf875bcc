package fault_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// wallet is the process id of the wallet actuator, other than the last one.
func (s *system) wallet(last int) (pid int) {
	s.t.Helper()
	eventually(s.t, func() (err error) {
		if pid, err = s.server.Actuator("wallet"); err == nil && pid == last {
			err = fmt.Errorf("the wallet actuator is %d still", pid)
		}
		return err
	})
	return pid
}

// recovery is how long payments may take to go on after a restart.
const recovery = time.Second

func TestWalletActuatorKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := pgtest.DSN(t)
	s := launch(t, dsn, 8)
	load := s.shop.Load(ctx, 8)
	best, pid := time.Hour, 0
	for range 3 { // within the budget of restarts
		must(t, load.Taken(ctx, 40))
		pid = s.wallet(pid)
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		must(t, load.Refused(ctx, http.StatusServiceUnavailable, 1))
		s.wallet(pid)
		restarted := time.Now()
		must(t, load.Taken(ctx, 1))
		best = min(best, time.Since(restarted))
	}
	// The best one counts: there is no wait in it that others could not avoid,
	// and a busy machine does not fail the test.
	if best > recovery {
		t.Errorf("payments went on %v after a restart at best, not within %v", best, recovery)
	}
	s.settle(load, dsn)
}

// A hung actuator holds payments up for its time limit, no longer, and changes
// nothing; left alone it is replaced.
func TestWalletActuatorHung(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := pgtest.DSN(t)
	s := launch(t, dsn, 2)
	p, err := s.shop.NewPayment(ctx, s.shop.Guests[0], 500)
	must(t, err)
	b := books(t, dsn)
	before, err := b.Fingerprint(ctx)
	must(t, err)

	hung := s.wallet(0)
	must(t, syscall.Kill(hung, syscall.SIGSTOP))
	a := s.shop.Send(ctx, p)
	if !a.Repeat() || a.Status == 0 || a.Took > 5*time.Second {
		t.Fatalf("a payment was answered %s after %v", a, a.Took)
	}
	after, err := b.Fingerprint(ctx)
	must(t, err)
	if after != before {
		t.Errorf("a payment that was refused changed something:\n%s\n%s", before, after)
	}
	load := s.shop.Load(ctx, 2)
	s.healthy(http.StatusServiceUnavailable)
	s.wallet(hung)
	restarted := time.Now()
	must(t, load.Taken(ctx, 1))
	if took := time.Since(restarted); took > 5*recovery {
		t.Errorf("payments went on %v after the restart", took)
	}
	s.healthy(http.StatusOK)
	must(t, load.Taken(ctx, 30))
	payments, counts, err := load.Stop()
	must(t, err)
	s.balance(append(payments, p), counts, dsn)
}

// An actuator that stalls now and then, as in a pause of its machine, is the
// same process afterwards.
func TestWalletActuatorStalls(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := pgtest.DSN(t)
	s := launch(t, dsn, 8)
	load := s.shop.Load(ctx, 8)
	pid := s.wallet(0)
	for range 3 {
		must(t, load.Taken(ctx, 40))
		must(t, syscall.Kill(pid, syscall.SIGSTOP))
		must(t, load.Refused(ctx, http.StatusGatewayTimeout, 1))
		must(t, syscall.Kill(pid, syscall.SIGCONT))
	}
	must(t, load.Taken(ctx, 40))
	if now := s.wallet(0); now != pid {
		t.Errorf("the actuator %d was replaced by %d", pid, now)
	}
	s.settle(load, dsn)
}
