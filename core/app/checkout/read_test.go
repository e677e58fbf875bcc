package checkout_test

import (
	"testing"
	"time"

	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

func TestListPagesThroughEverySaleOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.guest(ann, identity.Verified)
	sell := func(phone string) string {
		s.clock.Advance(time.Second)
		return s.close(s.open(phone, coffee()).ID, cash(1275)).Sale.Transaction.ID
	}
	var want []string
	for range 5 {
		want = append([]string{sell(ann)}, want...)
	}
	sell("")
	in := transactions.ListInput{IntegrationID: s.tenant.PartnerID, Limit: 2}
	var got []string
	for {
		page, err := s.transactions.List(t.Context(), s.call("listTransactions"), in)
		s.must(err)
		for _, tx := range page.Transactions {
			got = append(got, tx.ID)
		}
		if in.Cursor = page.Next; in.Cursor == "" {
			break
		}
		sell(ann) // sales go on while the list is read
	}
	if len(got) != len(want) {
		t.Fatalf("listed %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %d is %s, want %s", i, got[i], want[i])
		}
	}
	in.Cursor = ""
	in.IncludeUnidentified = true
	in.Limit = 200
	if page, err := s.transactions.List(t.Context(), s.call("listTransactions"), in); err != nil || len(page.Transactions) != 5+2+1 {
		t.Errorf("with unidentified ones: %d, %v", len(page.Transactions), err)
	}
}

func TestReadsStayWithinTheCaller(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tx := s.close(s.open("", coffee()).ID, cash(1275)).Sale.Transaction
	ctx := t.Context()
	for name, err := range map[string]error{
		"list of another integration": second(s.transactions.List(ctx, s.call("a"), transactions.ListInput{IntegrationID: "par_other"})),
		"get of another integration":  second(s.transactions.Get(ctx, s.call("b"), transactions.GetInput{IntegrationID: "par_other", TransactionID: tx.ID})),
		"an unknown transaction":      second(s.transactions.Get(ctx, s.call("c"), transactions.GetInput{IntegrationID: s.tenant.PartnerID, TransactionID: "txn_none"})),
		"an unknown receipt":          second(s.transactions.Receipt(ctx, s.call("d"), transactions.ReceiptInput{TransactionID: "txn_none"})),
	} {
		if !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	branch := s.call("e")
	branch.Actor.BrandID, branch.Actor.BranchID = "brd_1", "brn_2"
	if _, err := s.transactions.Get(ctx, branch, transactions.GetInput{IntegrationID: s.tenant.PartnerID, TransactionID: tx.ID}); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("another branch's credential: %v", err)
	}
	page, err := s.transactions.List(ctx, branch, transactions.ListInput{IntegrationID: s.tenant.PartnerID, IncludeUnidentified: true})
	if err != nil || len(page.Transactions) != 0 {
		t.Errorf("another branch's list: %+v, %v", page, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestCursorsAreChecked(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, cursor := range []string{"x", "AAAA", "dHJhbnNhY3Rpb25z", "\x00"} {
		_, err := s.transactions.List(t.Context(), s.call("listTransactions"), transactions.ListInput{IntegrationID: s.tenant.PartnerID, Cursor: cursor})
		wantCode(t, err, fault.CodeCursorInvalid)
	}
}

func TestTheReceiptOfACoffee(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	guest := s.guest(ann, identity.PendingProof)
	s.topUp(guest, 2500)
	c := s.open(ann, coffee())
	s.apply100(c.ID)
	tx := s.close(c.ID, []checkout.Tender{{Type: "card", AmountMinor: 1175, CardScheme: "visa", CardLastFour: "4242", Reference: "A-1"}}).Sale.Transaction
	v, err := s.transactions.Receipt(t.Context(), s.call("getReceipt"), transactions.ReceiptInput{TransactionID: tx.ID})
	s.must(err)
	r := v.Receipt
	if r.Number != tx.ReceiptNumber || r.Issuer.MerchantName != "Bean & Leaf" || r.Issuer.BranchName != "Harbour Street" || r.CashierID != "c-17" {
		t.Errorf("head = %+v", r)
	}
	if r.SubtotalMinor != 1275 || r.DiscountMinor != 100 || r.TotalMinor != 1175 || r.SubtotalMinor-r.DiscountMinor+r.TaxMinor != r.TotalMinor {
		t.Errorf("figures = %+v", r)
	}
	if len(r.Discounts) != 1 || r.Discounts[0].AmountMinor != 100 || r.Lines[0].DiscountMinor != 100 || r.Lines[0].TotalMinor != 800 || r.Lines[1].Name != "CROISSANT" {
		t.Errorf("lines = %+v, discounts %+v", r.Lines, r.Discounts)
	}
	if r.CashbackMinor != 58 || r.CashbackState != "LOCKED" {
		t.Errorf("cashback = %d %s", r.CashbackMinor, r.CashbackState)
	}
}
