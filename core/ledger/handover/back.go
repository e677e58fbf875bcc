package handover

import (
	"fmt"

	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

// Back is what goes back of a handover between two wallets.
type Back struct {
	// ActualMinor is actual money, at most what the wallet holds that it was
	// handed to.
	ActualMinor int64
	// Lots are all that were handed over, as they are now. What is left in them
	// goes back; those that hold nothing only change their owner.
	Lots []ledger.Grant
	// Verified is true where the phone of whom it goes back to is proven. Else
	// RELEASED lots are LOCKED again (rule 26).
	Verified bool
}

// WalletsBack takes a handover back: from is the wallet it was handed to, into
// the one it came from. Actual money goes by a contra entry, whose head.Reverses
// names the entry that moved it; lots go with what is left of them. The changes
// and the lots' new owner are to be written in one transaction. back are the
// lots that hold credit, as they are then.
func WalletsBack(head ledger.Head, from, into ledger.Wallet, b Back) (out, in *ledger.Change, back []ledger.Grant, err error) {
	switch {
	case from.Currency != into.Currency:
		return nil, nil, nil, fmt.Errorf("%w: a handover from %s to %s", ledger.ErrInvariant, from.Currency, into.Currency)
	case b.ActualMinor < 0 || b.ActualMinor > from.ActualMinor:
		return nil, nil, nil, fmt.Errorf("%w: %d of %d go back", ledger.ErrInvariant, b.ActualMinor, from.ActualMinor)
	}
	out, in = ledger.Begin(from), ledger.Begin(into)
	for _, g := range b.Lots {
		if !g.Live() {
			continue
		}
		after := g
		if after.CustomerID = into.CustomerID; !b.Verified {
			after = after.Lock()
		}
		if err := carryLot(&out.Wallet, &in.Wallet, g, after); err != nil {
			return nil, nil, nil, err
		}
		if after.State != g.State {
			in.Grants = append(in.Grants, after)
		}
		back = append(back, after)
	}
	if b.ActualMinor == 0 {
		return out, in, back, nil
	}
	sum, err := money.Add(into.ActualMinor, b.ActualMinor)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: wallet %s overflows", ledger.ErrInvariant, into.CustomerID)
	}
	out.Wallet.ActualMinor, in.Wallet.ActualMinor = from.ActualMinor-b.ActualMinor, sum
	return out, in, back, enter(&in.Entries, head, from, money.Actual,
		ledger.Account{Kind: ledger.AccountWallet, Owner: from.CustomerID}, ledger.Account{Kind: ledger.AccountWallet, Owner: into.CustomerID}, b.ActualMinor)
}

// carryLot moves the figures that a lot counts towards.
func carryLot(from, into *ledger.Wallet, before, after ledger.Grant) error {
	figure := func(w *ledger.Wallet, state ledger.GrantState) *int64 {
		if state == ledger.Locked {
			return &w.PromoLockedMinor
		}
		return &w.PromoAvailableMinor
	}
	sum, err := money.Add(*figure(into, after.State), after.RemainingMinor)
	if err != nil {
		return fmt.Errorf("%w: wallet %s overflows", ledger.ErrInvariant, into.CustomerID)
	}
	*figure(into, after.State) = sum
	*figure(from, before.State) -= before.RemainingMinor
	return from.Validate()
}

// PointsBack takes a handover of points back: c is what the lots that were
// handed over still hold, and what was ever earned and burned of them, of which
// no more goes back than there is. head.Reverses names the entry that moved them.
func PointsBack(head ledger.Head, fromID, intoID string, from, into ledger.PointsAccount, c Carried) (out, in *ledger.PointsChange, err error) {
	if c.Points < 0 || c.Points > from.Balance {
		return nil, nil, fmt.Errorf("%w: %d of %d points go back", ledger.ErrInvariant, c.Points, from.Balance)
	}
	c.Earned, c.Burned = min(c.Earned, from.Earned), min(c.Burned, from.Burned)
	return carry(head, fromID, intoID, from, into, c)
}
