package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// FromPayment makes the transaction of a payment that stands alone, for a
// payment.succeeded event without a session (rule 55), with its cashback and
// attribution. Any other event is passed by. An event may come again: a payment
// has one transaction.
func (s *Service) FromPayment(ctx context.Context, e event.Event) error {
	if e.Type != ledger.EventPaymentSucceeded {
		return nil
	}
	var data struct {
		PaymentID string `json:"payment_id"`
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return fmt.Errorf("read event %s: %w", e.ID, err)
	}
	if data.SessionID != "" {
		return nil
	}
	err := s.alone(ctx, e.Tenant, data.PaymentID)
	if fault.Is(err, fault.CodeNotFound) || errors.Is(err, checkout.ErrRecorded) {
		return nil // a sandbox that was erased since; or somebody was faster
	}
	return err
}

func (s *Service) alone(ctx context.Context, t tenancy.Tenant, paymentID string) error {
	st := s.UoW.Read()
	known, err := st.Checkout.TransactionOfPayment(ctx, t, paymentID)
	if err != nil || known != "" {
		return err
	}
	p, err := st.Ledger.Payment(ctx, t, paymentID)
	if err != nil {
		return err
	}
	set, err := s.settingsOf(ctx, t)
	if err != nil {
		return err
	}
	tx, err := s.OfPayment(ctx, st, p)
	if err != nil {
		return err
	}
	tx.TraceID = s.IDs.Make(ids.Trace)
	rulings, err := s.Ask(ctx, st, tx, set)
	if err != nil {
		return err
	}
	// The payment happened: its transaction waits for no actuator, however
	// required it declares itself.
	if decided, err := s.Plan(ctx, rulings, tx.TraceID, tx.CreatedAt); err == nil {
		rulings = decided
	}
	return s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		_, err := s.Record(ctx, st, RecordInput{Transaction: tx, Rulings: rulings, Settings: set})
		return err
	})
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
