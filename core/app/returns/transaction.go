package returns

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// VoidTransactionInput names a sale to undo.
type VoidTransactionInput struct {
	TransactionID string
	Reason        string // for the record; may be empty
}

// Voided is a sale after its void.
type Voided struct {
	View transactions.View
	Void checkout.Void
	// Payments are the wallet payments that gave something back.
	Payments []Outcome
}

// VoidTransaction undoes a sale whole, by contra entries beside the record that
// never changes (rule 54): what is left of its wallet payments goes back, and
// its cashback, points and offer uses are taken back as far as they are not
// spent; what is, is named and never taken from actual money. A decision about
// the sale that is still pending is not taken any more. Other tenders are given
// back where they were taken.
// Errors: NOT_FOUND, STATE_CONFLICT where it was voided already.
func (s *Service) VoidTransaction(ctx context.Context, call *app.Call, in VoidTransactionInput) (Voided, error) {
	set, err := s.settings(ctx, call)
	if err != nil {
		return Voided{}, err
	}
	return app.Mutate(ctx, s.UoW, s.Clock.Now(), call, func(ctx context.Context, st app.Stores) (Voided, error) {
		tx, err := st.Checkout.Transaction(ctx, call.Tenant, in.TransactionID)
		if err != nil {
			return Voided{}, err
		}
		if !checkout.Within(call.Actor, tx.Place) {
			return Voided{}, fault.NotFound("transaction")
		}
		return s.undo(ctx, st, call, tx, set, in.Reason)
	})
}

// undo voids a sale in the caller's transaction.
func (s *Service) undo(ctx context.Context, st app.Stores, call *app.Call, tx checkout.Transaction, set tenancy.Settings, reason string) (Voided, error) {
	payments, err := lockPayments(ctx, st, tx)
	if err != nil {
		return Voided{}, err
	}
	// Read again now that nobody else undoes it or decides about it.
	if tx, err = st.Checkout.Transaction(ctx, tx.Tenant, tx.ID); err != nil {
		return Voided{}, err
	}
	if err := tx.Voidable(); err != nil {
		return Voided{}, err
	}
	now := s.Clock.Now()
	out := Voided{Void: checkout.Void{TransactionID: tx.ID, Reason: reason, ActorID: actor(call), At: now}}
	for _, p := range payments {
		if left(p) == 0 {
			continue
		}
		one, err := s.giveBack(ctx, st, p, order{
			kind: ledger.EntryVoid, cause: tx.ID, reason: reason, actor: out.Void.ActorID, settings: set, now: now,
		}, nil)
		if err != nil {
			return Voided{}, err
		}
		out.Payments = append(out.Payments, one)
		out.Void.Reversals = append(out.Void.Reversals, checkout.Reversal{
			Type: checkout.ReversalPayment, ReferenceID: p.ID, AmountMinor: one.Return.AmountMinor,
			ForfeitedMinor: one.Return.ForfeitedMinor, EntryID: one.Return.EntryID,
		})
	}
	if err := s.takeBack(ctx, st, tx, &out.Void); err != nil {
		return Voided{}, err
	}
	if err := st.Checkout.AddVoid(ctx, tx, out.Void); err != nil {
		return Voided{}, err
	}
	if err := s.tell(ctx, st, tx, out.Void); err != nil {
		return Voided{}, err
	}
	if tx, err = st.Checkout.Transaction(ctx, tx.Tenant, tx.ID); err != nil {
		return Voided{}, err
	}
	out.View, err = transactions.Look(ctx, st, tx)
	return out, err
}

// lockPayments locks the session and the wallets of a sale, in the order in
// which every writer takes them, and reads its wallet payments.
func lockPayments(ctx context.Context, st app.Stores, tx checkout.Transaction) ([]ledger.Payment, error) {
	if tx.SessionID != "" {
		if _, err := st.Checkout.Lock(ctx, tx.Tenant, tx.SessionID); err != nil {
			return nil, err
		}
	}
	var payments []ledger.Payment
	var owners []ledger.Owner
	add := func(id string) {
		if o := (ledger.Owner{Tenant: tx.Tenant, CustomerID: id}); id != "" && !slices.Contains(owners, o) {
			owners = append(owners, o)
		}
	}
	add(tx.Buyer.CustomerID)
	for _, id := range tx.PaymentIDs() { // MaxTenders at most
		p, err := st.Ledger.Payment(ctx, tx.Tenant, id)
		if err != nil {
			return nil, err
		}
		payments = append(payments, p)
		add(p.CustomerID)
	}
	// A buyer who never paid by wallet has none to lock.
	if _, err := st.Ledger.Books(ctx, owners); err != nil {
		return nil, err
	}
	for i, p := range payments { // as they are under the locks
		var err error
		if payments[i], err = st.Ledger.Payment(ctx, tx.Tenant, p.ID); err != nil {
			return nil, err
		}
	}
	return payments, nil
}

// takeBack takes back what a sale gave its buyer: decisions still to be taken,
// cashback, points, offers.
func (s *Service) takeBack(ctx context.Context, st app.Stores, tx checkout.Transaction, v *checkout.Void) error {
	if err := st.Checkout.CancelPending(ctx, tx.Tenant, tx.ID, v.At); err != nil {
		return err
	}
	credited, err := s.annul(ctx, st, tx, v)
	if err != nil {
		return err
	}
	if tx.Buyer.CustomerID != "" {
		r, err := s.Points.Reverse(ctx, st, tx.Tenant, tx.Buyer.CustomerID, tx.ID, v.Reason, v.At)
		if err != nil {
			return err
		}
		if r.Net != 0 {
			moved := max(r.Moved, -r.Moved)
			v.Reversals = append(v.Reversals, checkout.Reversal{
				Type: checkout.ReversalPoints, ReferenceID: tx.ID, AmountMinor: moved, UnrecoveredMinor: max(r.Net, -r.Net) - moved, EntryID: r.EntryID,
			})
		}
	}
	undone, err := s.Incentives.Undo(ctx, st, tx, credited, v.At)
	for _, u := range undone {
		v.Reversals = append(v.Reversals, checkout.Reversal{
			Type: checkout.ReversalOffer, ReferenceID: u.ApplicationID, AmountMinor: u.ReturnedMinor,
		})
	}
	return err
}

// annul takes back the lots that a sale gave, and says what each offer gave.
func (s *Service) annul(ctx context.Context, st app.Stores, tx checkout.Transaction, v *checkout.Void) (credited map[string]int64, err error) {
	if tx.Buyer.CustomerID == "" {
		return nil, nil
	}
	lots, err := st.Ledger.GrantsOfSale(ctx, tx.Tenant, ledger.Sale{
		CustomerID: tx.Buyer.CustomerID, TransactionID: tx.ID, TraceID: tx.TraceID, At: tx.CreatedAt,
	})
	if err != nil || len(lots) == 0 {
		return nil, err
	}
	book, err := st.Ledger.Book(ctx, tx.Tenant, tx.Buyer.CustomerID)
	if err != nil {
		return nil, err
	}
	c := ledger.Begin(book.Wallet)
	credited = map[string]int64{}
	var events []event.Event
	for _, g := range lots {
		if g.Source == ledger.SourceOffer {
			credited[g.OriginID] += g.AmountMinor
		}
		head := ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: ledger.EntryClawback, RefID: tx.ID, Reverses: g.EntryID, At: v.At}
		taken, err := c.Annul(head, g.Grant)
		if err != nil {
			return nil, err
		}
		if err := grants.Refund(ctx, st, s.IDs, g.Grant, taken, v.At); err != nil {
			return nil, err
		}
		r := checkout.Reversal{Type: checkout.ReversalCashback, ReferenceID: g.ID, AmountMinor: taken, UnrecoveredMinor: g.AmountMinor - taken}
		if taken > 0 {
			r.EntryID = head.ID
		}
		v.Reversals = append(v.Reversals, r)
		if g.State != ledger.ClawedBack {
			after := g.Grant
			after.State, after.RemainingMinor = ledger.ClawedBack, 0
			events = append(events, after.Event(s.IDs.Make(ids.Event), v.At, taken))
		}
	}
	if len(events) == 0 {
		return credited, nil
	}
	if _, err := st.Ledger.Apply(ctx, c); err != nil {
		return nil, err
	}
	return credited, st.Events.Append(ctx, events...)
}

// tell tells that a sale was voided, and what was taken back.
func (s *Service) tell(ctx context.Context, st app.Stores, tx checkout.Transaction, v checkout.Void) error {
	var customer, session any
	if tx.Buyer.CustomerID != "" {
		customer = tx.Buyer.CustomerID
	}
	if tx.SessionID != "" {
		session = tx.SessionID
	}
	data, err := json.Marshal(map[string]any{
		"transaction_id": tx.ID, "receipt_number": tx.ReceiptNumber, "customer_id": customer, "session_id": session,
		"total_minor": tx.TotalMinor, "currency": tx.Currency, "reversals": append([]checkout.Reversal{}, v.Reversals...),
	})
	if err != nil {
		return fault.Internal(err)
	}
	return st.Events.Append(ctx, event.Event{
		ID: s.IDs.Make(ids.Event), Tenant: tx.Tenant, Type: "transaction.voided", Subject: tx.ID, At: v.At, Data: data, TraceID: tx.TraceID,
	})
}
