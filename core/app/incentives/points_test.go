package incentives_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	pgledger "github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

func (s *shop) points() *points.Service {
	return &points.Service{UoW: s.UoW, Clock: s.clock, IDs: s.IDs, Directory: s.Directory}
}

// verify re-derives the books of the shop's database.
func (s *shop) verify() {
	s.t.Helper()
	_, n, err := ledger.Verify(s.t.Context(), pgledger.NewAudit(s.db), func(f ledger.Finding) { s.t.Error(f) })
	s.must(err)
	if n > 0 {
		s.t.Errorf("%d findings", n)
	}
}

func TestMovePoints(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.guest("+14155550101")
	move := func(kind ledger.PointsMove, n int64) (ledger.PointsMovement, error) {
		return s.points().Move(t.Context(), s.call, points.MoveInput{CustomerID: c, Type: kind, Points: n, ReferenceID: "txn_1"})
	}
	expires := noon.Add(time.Hour)
	m, err := s.points().Move(t.Context(), s.call, points.MoveInput{CustomerID: c, Type: ledger.PointsEarn, Points: 120, ExpiresAt: &expires})
	s.must(err)
	if m.Points != 120 || m.Balance != 120 || m.EntryID == "" {
		t.Errorf("earned %+v", m)
	}
	_, err = move(ledger.PointsEarn, 80)
	s.must(err)
	m, err = move(ledger.PointsBurn, 50)
	s.must(err)
	if m.Points != -50 || m.Balance != 150 {
		t.Errorf("burned %+v", m)
	}
	_, err = move(ledger.PointsBurn, 151)
	wantCode(t, err, fault.CodeAmountOutOfRange)
	_, err = move(ledger.PointsBurn, -1)
	wantCode(t, err, fault.CodeValidationFailed)
	_, err = move(ledger.PointsAdjust, 5)
	wantCode(t, err, fault.CodeOperatorRequired)
	m, err = s.points().Move(t.Context(), s.operator(), points.MoveInput{CustomerID: c, Type: ledger.PointsAdjust, Points: -30, Reason: "Counted twice"})
	s.must(err)
	if m.Balance != 120 || m.Type != ledger.PointsAdjust || m.Reason != "Counted twice" {
		t.Errorf("adjusted %+v", m)
	}
	a, err := s.points().Get(t.Context(), s.call, c)
	s.must(err)
	if a.Balance != 120 || a.Earned != 200 || a.Burned != 80 || len(a.Lots) != 2 || a.Lots[0].Remaining != 40 {
		t.Errorf("account %+v", a)
	}
	s.verify()

	// The first lot lapses: shown at once, taken by the sweep, posted.
	s.clock.Advance(time.Hour)
	if a, err = s.points().Get(t.Context(), s.call, c); err != nil || a.Balance != 80 {
		t.Errorf("after expiry %d points, %v", a.Balance, err)
	}
	for _, want := range []int{1, 0} {
		if n, err := s.points().Expire(t.Context(), 10); err != nil || n != want {
			t.Errorf("the sweep took %d, %v; want %d", n, err, want)
		}
	}
	_, err = move(ledger.PointsBurn, 81)
	wantCode(t, err, fault.CodeAmountOutOfRange)
	s.verify()
}

func TestPointsKeepToTheirTenantAndNeedAProvenPhoneToBurn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.guest("+14155550101")
	other := &app.Call{Tenant: s.merchant(), Actor: tenancy.Actor{Operator: true}}
	_, err := s.points().Move(t.Context(), other, points.MoveInput{CustomerID: c, Type: ledger.PointsEarn, Points: 1})
	wantCode(t, err, fault.CodeNotFound)
	_, err = s.points().Get(t.Context(), other, c)
	wantCode(t, err, fault.CodeNotFound)
	_, err = s.points().Move(t.Context(), s.call, points.MoveInput{CustomerID: c, Type: ledger.PointsEarn, Points: 10})
	s.must(err)
	_, err = s.db.Q().Exec(t.Context(), `update customers set state = 'PENDING_PROOF', verified_at = null where customer_id = $1`, c)
	s.must(err)
	_, err = s.points().Move(t.Context(), s.call, points.MoveInput{CustomerID: c, Type: ledger.PointsBurn, Points: 1})
	wantCode(t, err, fault.CodeIdentityProbationary)
}

// Of any number who burn the same points, no more succeed than there are.
func TestPointsAreNotBurnedTwice(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.guest("+14155550101")
	_, err := s.points().Move(t.Context(), s.call, points.MoveInput{CustomerID: c, Type: ledger.PointsEarn, Points: 50})
	s.must(err)
	var all sync.WaitGroup
	done := make(chan error, 8)
	for range 8 {
		all.Go(func() {
			_, err := s.points().Move(t.Context(), s.call, points.MoveInput{CustomerID: c, Type: ledger.PointsBurn, Points: 10})
			done <- err
		})
	}
	all.Wait()
	close(done)
	burned := 0
	for err := range done {
		if err == nil {
			burned++
			continue
		}
		wantCode(t, err, fault.CodeAmountOutOfRange)
	}
	if burned != 5 {
		t.Errorf("%d burns of 10 out of 50 points", burned)
	}
	s.verify()
}

// Four servers sweep at once, and one account can't be swept: every other one
// loses its lapsed points, once.
func TestPointsExpireWhateverOneAccountDoes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	soon := noon.Add(time.Hour)
	var customers []string
	for i := range 8 {
		c := s.guest(fmt.Sprintf("+1415555010%d", i))
		_, err := s.points().Move(t.Context(), s.call, points.MoveInput{CustomerID: c, Type: ledger.PointsEarn, Points: 10, ExpiresAt: &soon})
		s.must(err)
		customers = append(customers, c)
	}
	broken := customers[0]
	_, err := s.db.Q().Exec(t.Context(), "delete from customers where customer_id = $1", broken)
	s.must(err)
	s.clock.Advance(time.Hour)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { _, _ = s.points().Expire(t.Context(), 100) })
	}
	all.Wait()
	if _, err := s.points().Expire(t.Context(), 100); err == nil {
		t.Error("nobody is told of the account that can't be swept")
	}
	for _, c := range customers[1:] {
		if n := s.count("select count(*) from points_movements where customer_id = $1 and type = 'expire'", c); n != 1 {
			t.Errorf("%s expired %d times", c, n)
		}
	}
}
