// Package handover moves all that a wallet holds: to another customer's wallet
// where two identities become one, or to breakage where a customer is erased.
// Money moves by entries that sum to zero per class; lots of promotional credit
// and of points stay what they are, with their source and expiry.
package handover

import (
	"fmt"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

// The kinds of the entries written here.
const (
	EntryMerge   ledger.EntryKind = "merge"
	EntryForfeit ledger.EntryKind = "forfeit"
)

// PointsMerge is the movement of points between identities, there and back.
const PointsMerge ledger.PointsMove = "merge"

// Wallets moves what from holds to into: actual money by an entry over both
// wallets, promotional figures with the lots that make them up (a lot is an
// account of its own, so no credit moves between accounts). head names the
// entry. Both changes are to be applied, and the lots' owner changed, in one
// transaction. moved is the actual money; no entry is written for none.
// Errors: CURRENCY_MISMATCH.
func Wallets(head ledger.Head, from, into ledger.Wallet) (out, in *ledger.Change, moved int64, err error) {
	if from.Currency != into.Currency {
		return nil, nil, 0, fault.Field(fault.CodeCurrencyMismatch, "source_customer_id", "same_currency",
			"the wallet to merge is in %s, the one that remains in %s; money is never converted", from.Currency, into.Currency)
	}
	out, in, moved = ledger.Begin(from), ledger.Begin(into), from.ActualMinor
	for _, figure := range []struct{ from, into *int64 }{
		{&out.Wallet.ActualMinor, &in.Wallet.ActualMinor},
		{&out.Wallet.PromoAvailableMinor, &in.Wallet.PromoAvailableMinor},
		{&out.Wallet.PromoLockedMinor, &in.Wallet.PromoLockedMinor},
	} {
		sum, err := money.Add(*figure.into, *figure.from)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("%w: wallet %s overflows", ledger.ErrInvariant, into.CustomerID)
		}
		*figure.into, *figure.from = sum, 0
	}
	in.Wallet.FirstTopupAt = earlier(from.FirstTopupAt, into.FirstTopupAt)
	in.Wallet.FirstPurchaseAt = earlier(from.FirstPurchaseAt, into.FirstPurchaseAt)
	if moved == 0 {
		return out, in, 0, nil
	}
	return out, in, moved, enter(&in.Entries, head, from, money.Actual,
		ledger.Account{Kind: ledger.AccountWallet, Owner: from.CustomerID}, ledger.Account{Kind: ledger.AccountWallet, Owner: into.CustomerID}, moved)
}

// Forfeit gives what a wallet holds to breakage: every live lot, whatever its
// expiry, and the actual money, under one entry. lots are all its live lots.
func Forfeit(head ledger.Head, w ledger.Wallet, lots []ledger.Grant) (*ledger.Change, error) {
	c := ledger.Begin(w)
	breakage := ledger.Account{Kind: ledger.AccountBreakage}
	var postings []ledger.Posting
	var promo int64
	for _, g := range lots {
		if !g.Live() {
			continue
		}
		postings = append(postings, ledger.Posting{Account: ledger.Account{Kind: ledger.AccountLot, Owner: g.ID}, Class: money.Promo, AmountMinor: -g.RemainingMinor})
		promo += g.RemainingMinor
		g.State, g.RemainingMinor = ledger.Expired, 0
		c.Grants = append(c.Grants, g)
	}
	if promo != w.PromoAvailableMinor+w.PromoLockedMinor {
		return nil, fmt.Errorf("%w: the lots of %s hold %d, its figures say %d", ledger.ErrInvariant, w.CustomerID, promo, w.PromoAvailableMinor+w.PromoLockedMinor)
	}
	if promo > 0 {
		postings = append(postings, ledger.Posting{Account: breakage, Class: money.Promo, AmountMinor: promo})
	}
	if w.ActualMinor > 0 {
		postings = append(postings,
			ledger.Posting{Account: ledger.Account{Kind: ledger.AccountWallet, Owner: w.CustomerID}, Class: money.Actual, AmountMinor: -w.ActualMinor},
			ledger.Posting{Account: breakage, Class: money.Actual, AmountMinor: w.ActualMinor})
	}
	c.Wallet.ActualMinor, c.Wallet.PromoAvailableMinor, c.Wallet.PromoLockedMinor = 0, 0, 0
	if len(postings) == 0 {
		return c, nil
	}
	e := ledger.Entry{Head: head, Tenant: w.Tenant, Currency: w.Currency, Postings: postings}
	c.Entries = append(c.Entries, e)
	return c, e.Validate()
}

// Points moves an account's points to another one, with its lots: one entry,
// and a movement on either side. ids name both movements. The lots' owner is
// to be changed in the same transaction. Nothing moves where there are none.
func Points(head ledger.Head, fromID, intoID string, from, into ledger.PointsAccount) (out, in *ledger.PointsChange, moved int64, err error) {
	out, in, err = carry(head, fromID, intoID, from, into, Carried{Points: from.Balance, Earned: from.Earned, Burned: from.Burned})
	return out, in, from.Balance, err
}

// Carried is what goes from one account of points to another.
type Carried struct {
	Points         int64 // what the lots hold
	Earned, Burned int64 // of what was ever earned and burned
}

// carry moves points between accounts.
func carry(head ledger.Head, fromID, intoID string, from, into ledger.PointsAccount, c Carried) (out, in *ledger.PointsChange, err error) {
	out, in = ledger.BeginPoints(from), ledger.BeginPoints(into)
	out.Account.Earned, in.Account.Earned = from.Earned-c.Earned, into.Earned+c.Earned
	out.Account.Burned, in.Account.Burned = from.Burned-c.Burned, into.Burned+c.Burned
	if c.Points == 0 {
		return out, in, nil
	}
	sum, err := money.Add(into.Balance, c.Points)
	if err != nil || sum > money.MaxMinor {
		return nil, nil, fault.Field(fault.CodeStateConflict, "source_customer_id", "balance_limit", "a balance holds at most %d points", money.MaxMinor)
	}
	out.Account.Balance, in.Account.Balance = from.Balance-c.Points, sum
	m := ledger.PointsMovement{Type: PointsMerge, EntryID: head.ID, ReferenceID: head.RefID, At: head.At}
	m.ID, m.CustomerID, m.Points, m.Balance = fromID, from.CustomerID, -c.Points, out.Account.Balance
	out.Movements = append(out.Movements, m)
	m.ID, m.CustomerID, m.Points, m.Balance = intoID, into.CustomerID, c.Points, sum
	in.Movements = append(in.Movements, m)
	return out, in, enter(&in.Entries, head, ledger.Wallet{Tenant: from.Tenant, Currency: ledger.PointsCurrency}, money.Points,
		ledger.Account{Kind: ledger.AccountPoints, Owner: from.CustomerID}, ledger.Account{Kind: ledger.AccountPoints, Owner: into.CustomerID}, c.Points)
}

// enter appends an entry that moves amount between two accounts of a class.
func enter(entries *[]ledger.Entry, head ledger.Head, w ledger.Wallet, class money.Class, from, into ledger.Account, amount int64) error {
	e := ledger.Entry{Head: head, Tenant: w.Tenant, Currency: w.Currency, Postings: []ledger.Posting{
		{Account: from, Class: class, AmountMinor: -amount}, {Account: into, Class: class, AmountMinor: amount},
	}}
	*entries = append(*entries, e)
	return e.Validate()
}

func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}
