package ledger_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/returns"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
)

// model is a wallet as plain arithmetic: what the system must agree with.
type model struct {
	customer string
	verified bool
	actual   int64
	pending  int64
	lots     []*modelLot // in the order in which they were given
	payments []*modelPayment
	topups   []*modelTopup
}

type modelLot struct {
	id        string
	remaining int64
	released  bool
	over      bool      // expired, spent or clawed back
	clawed    bool      // clawed back: what it paid is forfeited
	expires   time.Time // zero for never
}

func (l *modelLot) lapsed(now time.Time) bool { return !l.expires.IsZero() && !now.Before(l.expires) }

// end makes a lot hold nothing.
func (l *modelLot) end() { l.over, l.remaining = true, 0 }

// modelPayment is a debit, and what went back of it.
type modelPayment struct {
	id             string
	actual         int64
	parts          []modelPart // in the order in which they were spent
	refunded       int64
	voided         bool
	day            string
	amount         int64
	restoredActual int64
}

type modelPart struct {
	lot              *modelLot
	amount, restored int64
}

func (p *modelPayment) left() int64 {
	if p.voided {
		return 0
	}
	return p.amount - p.refunded
}

type modelTopup struct {
	id       string
	amount   int64
	bonus    *modelLot // nil where none
	reversed bool
}

// giveBack gives amount back: actual money, then the lots from the last spent to
// the first, as they stand now.
func (m *model) giveBack(p *modelPayment, amount int64, now time.Time) (actual, promo, forfeited int64) {
	p.refunded += amount
	actual = min(amount, p.actual-p.restoredActual)
	p.restoredActual += actual
	m.actual += actual
	left := amount - actual
	for i := len(p.parts) - 1; i >= 0 && left > 0; i-- {
		part := &p.parts[i]
		back := min(left, part.amount-part.restored)
		part.restored += back
		left -= back
		switch l := part.lot; {
		case back == 0:
		case l.clawed:
			forfeited += back
		default:
			promo += back
			if l.lapsed(now) {
				l.end()
				l.expires = now.Add(core.DefaultGrace)
			}
			l.remaining += back
			l.over, l.released = false, true
		}
	}
	return actual, promo, forfeited
}

// inOrder lists what can be spent, by rule 15.
func (m *model) inOrder(now time.Time) []*modelLot {
	var out []*modelLot
	for _, l := range m.lots {
		if l.released && !l.over && !l.lapsed(now) {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b *modelLot) int {
		if a.expires.IsZero() != b.expires.IsZero() {
			if a.expires.IsZero() {
				return 1
			}
			return -1
		}
		return a.expires.Compare(b.expires)
	})
	return out
}

// pay takes amount, or nothing where it is short.
func (m *model) pay(amount int64, now time.Time) (p *modelPayment, ok bool) {
	order := m.inOrder(now)
	spendable := m.actual
	for _, l := range order {
		spendable += l.remaining
	}
	if spendable < amount {
		return nil, false
	}
	p = &modelPayment{amount: amount, day: now.Format(time.DateOnly)}
	left := amount
	for _, l := range order {
		part := min(left, l.remaining)
		if part == 0 {
			break
		}
		p.parts = append(p.parts, modelPart{lot: l, amount: part})
		l.remaining -= part
		l.over = l.remaining == 0
		left -= part
	}
	m.actual -= left
	p.actual = left
	m.payments = append(m.payments, p)
	return p, true
}

func (m *model) give(g core.Grant) *modelLot {
	l := &modelLot{id: g.ID, remaining: g.AmountMinor, released: m.verified}
	if g.ExpiresAt != nil {
		l.expires = *g.ExpiresAt
	}
	m.lots = append(m.lots, l)
	return l
}

func (m *model) totals(now time.Time) (available, locked int64) {
	for _, l := range m.lots {
		switch {
		case l.over || l.lapsed(now):
		case l.released:
			available += l.remaining
		default:
			locked += l.remaining
		}
	}
	return available, locked
}

// Payments, refunds, voids, top-ups and their reversal, grants, expiry, clawback
// and verification in any order give what plain arithmetic gives, after every
// step: promo first and in order, classes apart, nothing negative, sums exact.
func TestWalletAgreesWithModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{verified: rapid.Bool().Draw(rt, "verified")}
		state := identity.PendingProof
		if m.verified {
			state = identity.Verified
		}
		m.customer = b.customer(t, state)
		rt.Repeat(map[string]func(*rapid.T){
			"pay":      func(rt *rapid.T) { b.stepPay(t, rt, m) },
			"top up":   func(rt *rapid.T) { b.stepTopUp(t, rt, m) },
			"prepare":  func(rt *rapid.T) { b.stepPrepare(t, rt, m) },
			"grant":    func(rt *rapid.T) { b.stepGrant(t, rt, m) },
			"clawback": func(rt *rapid.T) { b.stepClawBack(t, rt, m) },
			"refund":   func(rt *rapid.T) { b.stepRefund(t, rt, m) },
			"void":     func(rt *rapid.T) { b.stepVoid(t, rt, m) },
			"reverse":  func(rt *rapid.T) { b.stepReverse(t, rt, m) },
			"wait": func(rt *rapid.T) {
				b.clock.Advance(time.Duration(rapid.IntRange(1, 40).Draw(rt, "minutes")) * time.Minute)
			},
			"sweep":  func(rt *rapid.T) { b.stepSweep(t, m) },
			"verify": func(rt *rapid.T) { b.stepVerify(t, m) },
			"":       func(rt *rapid.T) { b.compare(t, rt, m) },
		})
	})
	b.sound(t)
}

func (b *bench) stepPay(t *testing.T, rt *rapid.T, m *model) {
	amount := rapid.Int64Range(1, 3000).Draw(rt, "amount")
	paid, err := b.pay(t, b.code(t, m.customer), amount)
	if !m.verified {
		wantCode(t, err, fault.CodeIdentityProbationary)
		return
	}
	want, ok := m.pay(amount, b.clock.Now())
	if !ok {
		wantCode(t, err, fault.CodeInsufficientFunds)
		return
	}
	must(t, err)
	want.id = paid.Payment.ID
	d := paid.Payment.Debit
	if d.ActualMinor != want.actual || d.AmountMinor() != amount || len(d.Sources) != len(want.parts) {
		rt.Fatalf("paid %+v, the model says %d actual of %d", d, want.actual, amount)
	}
	for i, s := range d.Sources {
		if s.GrantID != want.parts[i].lot.id || s.AmountMinor != want.parts[i].amount {
			rt.Fatalf("lot %d paid %+v, the model says %+v", i, s, want.parts[i])
		}
	}
	if paid.Balance.ActualMinor != m.actual {
		rt.Fatalf("the answer shows %d actual, the model has %d", paid.Balance.ActualMinor, m.actual)
	}
}

func (b *bench) stepTopUp(t *testing.T, rt *rapid.T, m *model) {
	amount := rapid.Int64Range(1, 3000).Draw(rt, "amount")
	b.clock.Advance(time.Millisecond) // so that no two lots are of one age
	done := b.topUp(t, m.customer, amount)
	m.actual += amount
	if tier, ok := (core.Tiers{Steps: goldenTiers}).Earned(amount); ok != (done.Bonus != nil) || ok && done.Bonus.AmountMinor != tier.BonusMinor {
		rt.Fatalf("a deposit of %d earned %+v", amount, done.Bonus)
	}
	top := &modelTopup{id: done.Topup.ID, amount: amount}
	if done.Bonus != nil {
		top.bonus = m.give(*done.Bonus)
	}
	m.topups = append(m.topups, top)
}

func (b *bench) stepPrepare(t *testing.T, rt *rapid.T, m *model) {
	amount := rapid.Int64Range(1, 3000).Draw(rt, "amount")
	_, err := b.topups.Prepare(t.Context(), b.call("prepareTopup"), topup.PrepareInput{CustomerID: m.customer, AmountMinor: amount, Currency: "USD"})
	must(t, err)
	m.pending += amount
}

func (b *bench) stepGrant(t *testing.T, rt *rapid.T, m *model) {
	var expires *time.Time
	if minutes := rapid.IntRange(0, 120).Draw(rt, "lives for minutes"); minutes > 0 {
		at := b.clock.Now().Add(time.Duration(minutes) * time.Minute)
		expires = &at
	}
	b.clock.Advance(time.Millisecond) // so that no two lots are of one age
	m.give(b.issue(t, m.customer, rapid.Int64Range(1, 500).Draw(rt, "amount"), expires))
}

func (b *bench) stepClawBack(t *testing.T, rt *rapid.T, m *model) {
	if len(m.lots) == 0 {
		return
	}
	l := m.lots[rapid.IntRange(0, len(m.lots)-1).Draw(rt, "lot")]
	back, err := b.grants.ClawBack(t.Context(), b.call("clawbackGrant"), clawBack(l.id))
	if l.over {
		wantCode(t, err, fault.CodeGrantNotClawbackable)
		return
	}
	must(t, err)
	if back.ReturnedMinor != l.remaining {
		rt.Fatalf("%d came back, the model has %d", back.ReturnedMinor, l.remaining)
	}
	l.end()
	l.clawed = true
}

// some draws one of the payments; nil where there is none.
func some[T any](rt *rapid.T, list []*T, what string) *T {
	if len(list) == 0 {
		return nil
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(rt, what)]
}

func (b *bench) stepRefund(t *testing.T, rt *rapid.T, m *model) {
	p := some(rt, m.payments, "payment")
	if p == nil {
		return
	}
	amount := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 3000)).Draw(rt, "amount to refund")
	got, err := b.refund(t, p.id, amount)
	switch {
	case p.voided:
		wantCode(t, err, fault.CodeStateConflict)
		return
	case p.left() == 0 || amount > p.left():
		wantCode(t, err, fault.CodeRefundExceedsPayment)
		return
	case amount == 0:
		amount = p.left()
	}
	must(t, err)
	b.wentBack(rt, m, p, amount, got)
}

func (b *bench) stepVoid(t *testing.T, rt *rapid.T, m *model) {
	p := some(rt, m.payments, "payment")
	if p == nil {
		return
	}
	got, err := b.void(t, p.id)
	if p.voided || p.refunded > 0 || p.day != b.clock.Now().Format(time.DateOnly) {
		wantCode(t, err, fault.CodeStateConflict)
		return
	}
	must(t, err)
	b.wentBack(rt, m, p, p.amount, got)
	p.voided = true
}

func (b *bench) wentBack(rt *rapid.T, m *model, p *modelPayment, amount int64, got returns.Outcome) {
	actual, promo, forfeited := m.giveBack(p, amount, b.clock.Now())
	r := got.Return
	if r.AmountMinor != amount || r.ActualMinor != actual || r.PromoMinor != promo || r.ForfeitedMinor != forfeited || got.Payment.RefundedMinor != p.refunded {
		rt.Fatalf("%+v went back, the model says %d actual, %d promo, %d forfeited", r, actual, promo, forfeited)
	}
	if got.Balance.ActualMinor != m.actual {
		rt.Fatalf("the answer shows %d actual, the model has %d", got.Balance.ActualMinor, m.actual)
	}
}

func (b *bench) stepReverse(t *testing.T, rt *rapid.T, m *model) {
	top := some(rt, m.topups, "top-up")
	if top == nil {
		return
	}
	partial := rapid.Bool().Draw(rt, "partial")
	got, err := b.reverse(t, top.id, partial)
	if top.reversed || !partial && m.actual < top.amount {
		wantCode(t, err, fault.CodeStateConflict)
		return
	}
	must(t, err)
	top.reversed = true
	taken, bonus := min(m.actual, top.amount), int64(0)
	m.actual -= taken
	if l := top.bonus; l != nil {
		bonus = l.remaining
		l.end()
		l.clawed = true
	}
	if o := got.Topup; o.ReversedActualMinor != taken || o.ReversedBonusMinor != bonus {
		rt.Fatalf("%d and %d of the bonus were taken back, the model says %d and %d", o.ReversedActualMinor, o.ReversedBonusMinor, taken, bonus)
	}
}

func (b *bench) stepSweep(t *testing.T, m *model) {
	_, err := b.grants.Expire(t.Context(), 1000)
	must(t, err)
	_, err = b.topups.Expire(t.Context(), 1000)
	must(t, err)
	for _, l := range m.lots {
		if l.lapsed(b.clock.Now()) {
			l.end()
		}
	}
	// Which prepared top-ups lapsed is the system's to know; the sum is checked
	// against the top-ups themselves at the end.
	balance := b.balance(t, m.customer)
	if balance.PendingTopupsMinor > m.pending {
		t.Errorf("a sweep raised the pending top-ups to %d", balance.PendingTopupsMinor)
	}
	m.pending = balance.PendingTopupsMinor
}

func (b *bench) stepVerify(t *testing.T, m *model) {
	must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
		return b.prove(ctx, st, b.tenant, m.customer, b.clock.Now())
	}))
	m.verified = true
	for _, l := range m.lots {
		if !l.over && !l.lapsed(b.clock.Now()) {
			l.released = true
		}
	}
}

func (b *bench) compare(t *testing.T, rt *rapid.T, m *model) {
	got := b.balance(t, m.customer)
	available, locked := m.totals(b.clock.Now())
	if got.ActualMinor != m.actual || got.PromoAvailableMinor != available || got.PromoLockedMinor != locked || got.PendingTopupsMinor != m.pending {
		rt.Fatalf("the books show %+v, the model actual %d, available %d, locked %d, pending %d", got, m.actual, available, locked, m.pending)
	}
}

// The same operations side by side on a few wallets leave sound books: nobody
// else's answer is known in advance, but every figure follows from the postings.
func TestBooksStaySoundUnderConcurrency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customers := make([]string, 4)
	var mu sync.Mutex
	var paid, deposits []string
	for i := range customers {
		customers[i] = b.customer(t, identity.Verified)
		deposits = append(deposits, b.topUp(t, customers[i], 2500).Topup.ID)
		paid = append(paid, b.paid(t, customers[i], 300).ID)
	}
	pick := func(r *rand.Rand, list *[]string) string {
		mu.Lock()
		defer mu.Unlock()
		return (*list)[r.IntN(len(*list))]
	}
	codes := together(200, func(i int) error {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		customer := customers[r.IntN(len(customers))]
		switch r.IntN(12) {
		case 8, 9:
			_, err := b.refund(t, pick(r, &paid), 1+r.Int64N(200))
			return err
		case 10:
			_, err := b.void(t, pick(r, &paid))
			return err
		case 11:
			_, err := b.reverse(t, pick(r, &deposits), r.IntN(2) == 0)
			return err
		case 0:
			b.topUp(t, customer, 1+r.Int64N(3000))
		case 1:
			soon := b.clock.Now().Add(time.Duration(5+r.IntN(30)) * time.Minute) // much may pass meanwhile
			b.issue(t, customer, 1+r.Int64N(300), &soon)
		case 2:
			b.clock.Advance(10 * time.Second)
			if _, err := b.grants.Expire(t.Context(), 10); err != nil {
				return err
			}
		case 3:
			if lots := b.balance(t, customer).Grants; len(lots) > 0 {
				_, err := b.grants.ClawBack(t.Context(), b.call("clawbackGrant"), clawBack(lots[0].ID))
				return err
			}
		default:
			p, err := b.pay(t, b.code(t, customer), 1+r.Int64N(400))
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				paid = append(paid, p.Payment.ID)
			}
			return err
		}
		return nil
	})
	b.clock.Advance(time.Hour)
	if _, err := b.grants.Expire(t.Context(), 10); err != nil {
		t.Error(err)
	}
	if codes[""] < 50 || codes[fault.CodeInternal] > 0 {
		t.Errorf("answers %v", codes)
	}
	for code := range codes {
		switch code {
		case "", fault.CodeInsufficientFunds, fault.CodeGrantNotClawbackable, fault.CodeSubsystemDegraded, fault.CodeStateConflict, fault.CodeRefundExceedsPayment:
		default:
			t.Errorf("unexpected answer %s", code)
		}
	}
	if n := b.sound(t); n.Entries == 0 {
		t.Error("nothing was examined")
	}
}
