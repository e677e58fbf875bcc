// Package disputes opens, reads and resolves disputes of sales.
package disputes

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/app/returns"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/dispute"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of disputes.
type Service struct {
	UoW     app.UnitOfWork
	Clock   clock.Clock
	IDs     *ids.Source
	Returns *returns.Service // gives the money back of those resolved for the customer
}

// OpenInput says what is contested and why.
type OpenInput struct {
	TransactionID string
	Reason        string // one of the contract's
	AmountMinor   int64  // 0 for what is left of the sale
	Description   string // may be empty
	Evidence      []dispute.Evidence
}

// Open opens a dispute on a sale. No money moves.
// Errors: NOT_FOUND; VALIDATION_FAILED (evidence); STATE_CONFLICT where the sale
// has an open dispute, was voided, or has nothing left to contest;
// AMOUNT_OUT_OF_RANGE where more is contested than is left.
func (s *Service) Open(ctx context.Context, call *app.Call, in OpenInput) (dispute.Dispute, error) {
	if err := dispute.Check(in.Evidence); err != nil {
		return dispute.Dispute{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (dispute.Dispute, error) {
		tx, err := sale(ctx, st, call, in.TransactionID)
		if err != nil {
			return dispute.Dispute{}, err
		}
		d := dispute.Dispute{
			ID: s.IDs.Make(ids.Dispute), Tenant: tx.Tenant, TransactionID: tx.ID, CustomerID: tx.Buyer.CustomerID, Place: tx.Place,
			State: dispute.Open, Reason: in.Reason, AmountMinor: in.AmountMinor, Currency: tx.Currency, Description: in.Description,
			Evidence: in.Evidence, OpenedAt: now, DueAt: now.Add(dispute.Life),
			History: []dispute.Step{{Type: "opened", ActorID: actor(call), At: now}},
		}
		if d.AmountMinor, err = contested(tx, in.AmountMinor); err != nil {
			return d, err
		}
		if err := st.Disputes.Insert(ctx, d); err != nil {
			return d, err
		}
		return d, s.tell(ctx, st, "dispute.opened", d, now)
	})
}

// contested is the amount that a dispute is about.
func contested(tx checkout.Transaction, askedMinor int64) (int64, error) {
	if err := tx.Voidable(); err != nil {
		return 0, err
	}
	left := tx.LeftMinor()
	switch {
	case left == 0:
		return 0, fault.Field(fault.CodeStateConflict, "transaction_id", "something_left", "the whole of the sale was refunded; nothing is left to contest")
	case askedMinor > left:
		return 0, fault.Field(fault.CodeAmountOutOfRange, "amount_minor", "at_most_left",
			"the sale was of %d minor units and %d of them were refunded; contest at most %d", tx.TotalMinor, tx.Standing.RefundedMinor, left)
	case askedMinor == 0:
		return left, nil
	}
	return askedMinor, nil
}

func sale(ctx context.Context, st app.Stores, call *app.Call, id string) (checkout.Transaction, error) {
	tx, err := st.Checkout.Transaction(ctx, call.Tenant, id)
	if err == nil && !checkout.Within(call.Actor, tx.Place) {
		return checkout.Transaction{}, fault.NotFound("transaction")
	}
	return tx, err
}

// ResolveInput says how a dispute ends.
type ResolveInput struct {
	DisputeID   string
	Outcome     dispute.Outcome
	AmountMinor int64  // what the customer gets back; 0 for what is contested
	Note        string // for the record; may be empty
}

// Resolve ends a dispute, by operator authority. For the customer the amount
// goes back over the wallet payments of the sale, the last one first, each as a
// refund does: never beyond what they took, and shown in their refunded amounts
// and in the sale's. For the merchant nothing moves.
// Errors: OPERATOR_REQUIRED; NOT_FOUND; STATE_CONFLICT where it is resolved;
// VALIDATION_FAILED where an amount goes with outcome merchant;
// AMOUNT_OUT_OF_RANGE above what is contested; REFUND_EXCEEDS_PAYMENT, which
// names what is left.
func (s *Service) Resolve(ctx context.Context, call *app.Call, in ResolveInput) (dispute.Dispute, error) {
	if !call.Actor.Operator {
		return dispute.Dispute{}, fault.New(fault.CodeOperatorRequired, "resolving a dispute needs an API key with operator authority")
	}
	if in.Outcome == dispute.ForMerchant && in.AmountMinor != 0 {
		return dispute.Dispute{}, fault.Field(fault.CodeValidationFailed, "amount_minor", "customer_only",
			"nothing goes back where the dispute goes for the merchant; leave amount_minor out")
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (dispute.Dispute, error) {
		d, err := seen(st.Disputes.Lock(ctx, call.Tenant, in.DisputeID))(call)
		if err != nil {
			return dispute.Dispute{}, err
		}
		if err := d.Resolvable(); err != nil {
			return dispute.Dispute{}, err
		}
		r := dispute.Resolution{Outcome: in.Outcome, Note: in.Note, EntryIDs: []string{}}
		if in.Outcome == dispute.ForCustomer {
			if err := s.pay(ctx, st, call, d, in, &r); err != nil {
				return dispute.Dispute{}, err
			}
		}
		if d, err = d.Resolve(r, actor(call), now); err != nil {
			return dispute.Dispute{}, err
		}
		if err := st.Disputes.SaveResolved(ctx, d); err != nil {
			return dispute.Dispute{}, err
		}
		return d, s.tell(ctx, st, "dispute.resolved", d, now)
	})
}

// pay gives the money back that the customer is to get.
func (s *Service) pay(ctx context.Context, st app.Stores, call *app.Call, d dispute.Dispute, in ResolveInput, r *dispute.Resolution) error {
	amount := cmp.Or(in.AmountMinor, d.AmountMinor)
	if amount > d.AmountMinor {
		return fault.Field(fault.CodeAmountOutOfRange, "amount_minor", "at_most_contested",
			"%d minor units are contested; give back at most that", d.AmountMinor)
	}
	tx, err := st.Checkout.Transaction(ctx, d.Tenant, d.TransactionID)
	if err != nil {
		return err
	}
	gave, err := s.Returns.RefundSale(ctx, st, call, tx, amount, d.ID, in.Note)
	for _, o := range gave {
		r.ActualMinor += o.Return.ActualMinor
		r.PromoMinor += o.Return.PromoMinor
		r.ForfeitedMinor += o.Return.ForfeitedMinor
		r.EntryIDs = append(r.EntryIDs, o.Return.EntryID)
	}
	return err
}

// seen hides a dispute that the caller's scope does not reach.
func seen(d dispute.Dispute, err error) func(call *app.Call) (dispute.Dispute, error) {
	return func(call *app.Call) (dispute.Dispute, error) {
		if err == nil && !checkout.Within(call.Actor, d.Place) {
			return dispute.Dispute{}, fault.NotFound("dispute")
		}
		return d, err
	}
}

// Get reads one with its evidence and history. Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, id string) (dispute.Dispute, error) {
	return seen(s.UoW.Read().Disputes.Dispute(ctx, call.Tenant, id))(call)
}

// ListInput asks for a page; empty members do not narrow it.
type ListInput struct {
	State                     dispute.State
	TransactionID, CustomerID string
	Limit                     int // 1 to 200; 0 means 50
	Cursor                    string
}

// Page is one page of disputes, latest first.
type Page struct {
	Disputes []dispute.Dispute
	Next     string // empty on the last page
}

const listName = "disputes"

// List reads a page. Errors: CURSOR_INVALID.
func (s *Service) List(ctx context.Context, call *app.Call, in ListInput) (Page, error) {
	end, err := paging.Open(listName, in.Cursor)
	if err != nil {
		return Page{}, err
	}
	size := paging.Size(in.Limit)
	list, err := s.UoW.Read().Disputes.List(ctx, call.Tenant, dispute.Filter{
		State: in.State, TransactionID: in.TransactionID, CustomerID: in.CustomerID,
		Reach: tenancy.Place{BrandID: call.Actor.BrandID, BranchID: call.Actor.BranchID}, Before: end.At, BeforeID: end.ID, Limit: size + 1,
	})
	if err != nil {
		return Page{}, err
	}
	var p Page
	p.Disputes, p.Next = paging.Cut(list, size, listName, func(d dispute.Dispute) paging.Mark { return paging.Mark{At: d.OpenedAt, ID: d.ID} })
	return p, nil
}

// tell tells of a dispute: ids and amounts, never what was said.
func (s *Service) tell(ctx context.Context, st app.Stores, kind string, d dispute.Dispute, now time.Time) error {
	data := map[string]any{
		"dispute_id": d.ID, "transaction_id": d.TransactionID, "customer_id": nil, "state": string(d.State), "reason": d.Reason,
		"amount_minor": d.AmountMinor, "currency": d.Currency,
	}
	if d.CustomerID != "" {
		data["customer_id"] = d.CustomerID
	}
	if r := d.Resolution; r != nil {
		data["outcome"] = string(r.Outcome)
		data["refunded_actual_minor"], data["refunded_promo_minor"], data["forfeited_promo_minor"] = r.ActualMinor, r.PromoMinor, r.ForfeitedMinor
		data["entry_ids"] = r.EntryIDs
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return fault.Internal(err)
	}
	return st.Events.Append(ctx, event.Event{ID: s.IDs.Make(ids.Event), Tenant: d.Tenant, Type: kind, Subject: d.ID, At: now, Data: raw})
}

// actor is who asked, for the record: the terminal, else the key.
func actor(call *app.Call) string {
	return cmp.Or(call.Actor.TerminalID, call.Actor.KeyID, call.Actor.PartnerID)
}
