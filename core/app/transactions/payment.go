package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// side is how many sales of a run are written side by side: each is a
// transaction of its own, so that no two wallets are ever held at a time, and
// together they share the disk's round trips.
const side = 4

// FromPayment is FromPayments for a single event.
func (s *Service) FromPayment(ctx context.Context, e event.Event) error {
	return s.FromPayments(ctx, []event.Event{e})
}

// FromPayments makes the transactions of payments that stand alone, for
// payment.succeeded events without a session (rule 55), with their cashback and
// attribution, all of which are planned in one call to each actuator. Other
// events are passed by. Events may come again, to several servers at a time: a
// payment has one transaction. An error says that some have none yet.
func (s *Service) FromPayments(ctx context.Context, events []event.Event) error {
	sales := make([]*lone, len(events))
	err := each(len(events), func(i int) (err error) {
		sales[i], err = s.prepare(ctx, events[i])
		return err
	})
	sales = slices.DeleteFunc(sales, func(l *lone) bool { return l == nil })
	s.planAll(ctx, sales)
	return errors.Join(err, each(len(sales), func(i int) error { return s.write(ctx, sales[i]) }))
}

// lone is a sale of a payment alone, on its way into the books.
type lone struct {
	tx       checkout.Transaction
	rulings  []checkout.Ruling
	settings tenancy.Settings
}

// prepare reads what an event's payment needs; nil where there is nothing to do:
// another event, a payment of a session, one that has its transaction, or one
// of a sandbox that was erased since.
func (s *Service) prepare(ctx context.Context, e event.Event) (*lone, error) {
	if e.Type != ledger.EventPaymentSucceeded {
		return nil, nil
	}
	var data struct {
		PaymentID string `json:"payment_id"`
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return nil, fmt.Errorf("read event %s: %w", e.ID, err)
	}
	if data.SessionID != "" {
		return nil, nil
	}
	l, err := s.alone(ctx, e.Tenant, data.PaymentID)
	if fault.Is(err, fault.CodeNotFound) {
		return nil, nil
	}
	return l, err
}

func (s *Service) alone(ctx context.Context, t tenancy.Tenant, paymentID string) (*lone, error) {
	st := s.UoW.Read()
	known, err := st.Checkout.TransactionOfPayment(ctx, t, paymentID)
	if err != nil || known != "" {
		return nil, err
	}
	p, err := st.Ledger.Payment(ctx, t, paymentID)
	if err != nil {
		return nil, err
	}
	l := &lone{}
	if l.settings, err = s.settingsOf(ctx, t); err != nil {
		return nil, err
	}
	if l.tx, err = s.OfPayment(ctx, st, p); err != nil {
		return nil, err
	}
	l.tx.TraceID = s.IDs.Make(ids.Trace)
	if l.rulings, err = s.Ask(ctx, st, l.tx, l.settings); err != nil {
		return nil, err // written without its rulings, it would never have any
	}
	return l, nil
}

// planAll has the rulings of all sales decided in one go. The payments
// happened: their transactions wait for no actuator, however required it
// declares itself; what is not answered stays pending.
func (s *Service) planAll(ctx context.Context, sales []*lone) {
	var batch []actuation.Snapshot
	for _, l := range sales {
		batch = append(batch, snapshots(l.rulings)...)
	}
	if len(batch) == 0 {
		return
	}
	outcomes := s.Planner.Plan(ctx, batch)
	for _, l := range sales {
		for i := range l.rulings {
			if o := outcomes[0]; o.Err == nil {
				l.rulings[i] = l.rulings[i].Decided(o.Plan, o.Actuator, l.tx.CreatedAt)
				l.rulings[i].TraceID = l.tx.TraceID
			}
			outcomes = outcomes[1:]
		}
	}
}

func (s *Service) write(ctx context.Context, l *lone) error {
	err := s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		_, err := s.Record(ctx, st, RecordInput{Transaction: l.tx, Rulings: l.rulings, Settings: l.settings})
		return err
	})
	if errors.Is(err, checkout.ErrRecorded) {
		return nil // somebody was faster
	}
	return err
}

// each runs fn for 0 to n-1, side at a time, and joins the errors. A panic is
// an error: on a goroutine of our own it would take the whole server with it.
func each(n int, fn func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	places := make(chan struct{}, side)
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					errs[i] = fmt.Errorf("panic: %v", r)
				}
				<-places
			}()
			errs[i] = fn(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// OfPayment is the transaction of a payment that belongs to no sale of a
// session, not yet recorded. It is made at the time of the call.
func (s *Service) OfPayment(ctx context.Context, st app.Stores, p ledger.Payment) (checkout.Transaction, error) {
	customer, err := st.Identity.Customer(ctx, p.Tenant, p.CustomerID)
	if err != nil {
		return checkout.Transaction{}, err
	}
	paid := Net(p)
	return checkout.Transaction{
		ID: s.IDs.Make(ids.Transaction), Tenant: p.Tenant, Origin: checkout.OriginPOS, SessionID: p.SessionID, Place: p.Place,
		CashierID: p.CashierID, Currency: p.Currency, SubtotalMinor: paid.AmountMinor(), TotalMinor: paid.AmountMinor(),
		Buyer: checkout.Buyer{CustomerID: p.CustomerID, State: string(customer.State)},
		Tenders: []checkout.Paid{{
			Tender:            checkout.Tender{Type: checkout.Wallet, AmountMinor: paid.AmountMinor(), PaymentID: p.ID},
			DebitedPromoMinor: paid.DebitedPromoMinor, DebitedActualMinor: paid.DebitedActualMinor, EntryIDs: paid.EntryIDs,
		}},
		CreatedAt: s.Clock.Now(),
	}, nil
}

// Net is a payment as a sale needs to know it: what was given back of it is
// taken off in the order in which it went back, actual money first.
func Net(p ledger.Payment) checkout.Payment {
	actual := min(p.RefundedMinor, p.Debit.ActualMinor)
	out := checkout.Payment{
		ID: p.ID, CustomerID: p.CustomerID,
		DebitedActualMinor: p.Debit.ActualMinor - actual,
		DebitedPromoMinor:  p.Debit.PromoMinor() - (p.RefundedMinor - actual),
	}
	if p.EntryID != "" {
		out.EntryIDs = []string{p.EntryID}
	}
	return out
}
