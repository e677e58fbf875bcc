package checkout_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
)

var paid = []checkout.Payment{{ID: "pay_1", DebitedPromoMinor: 250, DebitedActualMinor: 925, EntryIDs: []string{"ent_1"}}}

func TestSettle(t *testing.T) {
	t.Parallel()
	wallet := func(id string, amount int64) checkout.Tender {
		return checkout.Tender{Type: checkout.Wallet, AmountMinor: amount, PaymentID: id}
	}
	cash := func(amount int64) checkout.Tender { return checkout.Tender{Type: "cash", AmountMinor: amount} }
	for _, c := range []struct {
		name     string
		total    int64
		tenders  []checkout.Tender
		payments []checkout.Payment
		code     fault.Code
		field    string
	}{
		{"the wallet alone", 1175, []checkout.Tender{wallet("pay_1", 1175)}, paid, "", ""},
		{"wallet and cash", 1500, []checkout.Tender{cash(325), wallet("pay_1", 1175)}, paid, "", ""},
		{"cash alone", 1275, []checkout.Tender{cash(1275)}, nil, "", ""},
		{"nothing to pay", 0, nil, nil, "", ""},
		{"too little", 1275, []checkout.Tender{cash(1274)}, nil, fault.CodeTendersMismatch, "tenders"},
		{"too much", 1275, []checkout.Tender{cash(1276)}, nil, fault.CodeTendersMismatch, "tenders"},
		{"no tender", 1275, nil, nil, fault.CodeTendersMismatch, "tenders"},
		{"a payment left out", 1175, []checkout.Tender{cash(1175)}, paid, fault.CodeTendersMismatch, "tenders"},
		{"a payment twice", 2350, []checkout.Tender{wallet("pay_1", 1175), wallet("pay_1", 1175)}, paid, fault.CodeTendersMismatch, "tenders[1].payment_id"},
		{"another session's payment", 10, []checkout.Tender{wallet("pay_2", 10)}, nil, fault.CodeTendersMismatch, "tenders[0].payment_id"},
		{"part of a payment", 1000, []checkout.Tender{wallet("pay_1", 1000)}, paid, fault.CodeTendersMismatch, "tenders[0].amount_minor"},
		{"a wallet without payment", 10, []checkout.Tender{wallet("", 10)}, nil, fault.CodeValidationFailed, "tenders[0].payment_id"},
		{"cash with a payment", 10, []checkout.Tender{{Type: "cash", AmountMinor: 10, PaymentID: "pay_1"}}, nil, fault.CodeValidationFailed, "tenders[0].payment_id"},
		{"cash with digits", 10, []checkout.Tender{{Type: "cash", AmountMinor: 10, CardLastFour: "4242"}}, nil, fault.CodeValidationFailed, "tenders[0].card_last_four"},
		{"an empty tender", 0, []checkout.Tender{cash(0)}, nil, fault.CodeValidationFailed, "tenders[0].amount_minor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := checkout.Settle(c.total, c.tenders, c.payments)
			if c.code == "" {
				if err != nil || len(got) != len(c.tenders) {
					t.Fatalf("settled = %+v, %v", got, err)
				}
				return
			}
			if !fault.Is(err, c.code) || fault.As(err).Details[0].Field != c.field {
				t.Errorf("err = %v (%+v), want %s at %s", err, fault.As(err).Details, c.code, c.field)
			}
		})
	}
}

func TestWhatIsSettledAddsUpPerClass(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var payments []checkout.Payment
		var tenders []checkout.Tender
		var total, promo, actual int64
		for i := range rapid.IntRange(0, 5).Draw(t, "payments") {
			p := checkout.Payment{
				ID: fmt.Sprintf("pay_%d", i), EntryIDs: []string{fmt.Sprintf("ent_%d", i)},
				DebitedPromoMinor: rapid.Int64Range(0, 1000).Draw(t, "promo"), DebitedActualMinor: rapid.Int64Range(1, 1000).Draw(t, "actual"),
			}
			payments = append(payments, p)
			tenders = append(tenders, checkout.Tender{Type: checkout.Wallet, AmountMinor: p.AmountMinor(), PaymentID: p.ID})
			total, promo, actual = total+p.AmountMinor(), promo+p.DebitedPromoMinor, actual+p.DebitedActualMinor
		}
		for range rapid.IntRange(0, 3).Draw(t, "others") {
			amount := rapid.Int64Range(1, 1000).Draw(t, "cash")
			tenders = append(tenders, checkout.Tender{Type: "cash", AmountMinor: amount})
			total += amount
		}
		order := rapid.Permutation(tenders).Draw(t, "order")
		got, err := checkout.Settle(total, order, payments)
		if err != nil {
			t.Fatal(err)
		}
		moved := checkout.Transaction{Tenders: got}.Movements()
		for _, m := range moved {
			want := actual
			if m.Class == money.Promo {
				want = promo
			}
			if m.DebitedMinor != want {
				t.Fatalf("%s moved %d, want %d", m.Class, m.DebitedMinor, want)
			}
		}
		if (promo > 0) != (len(moved) > 0 && moved[0].Class == money.Promo) {
			t.Fatalf("movements = %+v", moved)
		}
		if _, err := checkout.Settle(total+1, order, payments); !fault.Is(err, fault.CodeTendersMismatch) {
			t.Fatal("tenders that are short were settled")
		}
	})
}

func TestMovementsKeepTheClassesApart(t *testing.T) {
	t.Parallel()
	tx := checkout.Transaction{
		Tenders: []checkout.Paid{{DebitedPromoMinor: 250, DebitedActualMinor: 925, EntryIDs: []string{"ent_1"}}},
		Rulings: []checkout.Ruling{{Kind: actuation.KindCashback, State: checkout.Committed, AmountMinor: 58, EntryID: "ent_2"}},
	}
	got := tx.Movements()
	if len(got) != 2 || got[0].Class != money.Promo || got[0].DebitedMinor != 250 || got[0].CreditedMinor != 58 || len(got[0].EntryIDs) != 2 ||
		got[1].Class != money.Actual || got[1].DebitedMinor != 925 || got[1].CreditedMinor != 0 {
		t.Errorf("movements = %+v", got)
	}
}
