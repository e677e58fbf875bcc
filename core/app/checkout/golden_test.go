package checkout_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/feddi/feddi/core/actuation"
	uses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

// TestOneCoffee walks the session part of the golden path with its figures.
func TestOneCoffee(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	ctx := t.Context()
	guest := s.guest("+14155550123", identity.Verified)

	opened, err := s.Open(ctx, s.call("openCheckoutSession"), uses.OpenInput{Currency: "USD", Channel: "in_store"})
	s.must(err)
	session := opened.View.Session
	if session.State != checkout.Open || session.Origin != "pos" || opened.View.Basket != nil || opened.Status != "" || session.BasketRevision != 0 {
		t.Errorf("opened = %+v", opened)
	}

	nobody, err := s.Identify(ctx, s.call("identifyCheckoutSession"), uses.IdentifyInput{SessionID: session.ID, Credential: byPhone("+14155550199")})
	s.must(err)
	if nobody.Status != "not_found" || nobody.Customer != nil || nobody.View.Session.CustomerID != "" {
		t.Errorf("an unknown credential gave %+v", nobody)
	}
	found, err := s.Identify(ctx, s.call("identifyCheckoutSession"), uses.IdentifyInput{SessionID: session.ID, Credential: byPhone("(415) 555-0123")})
	s.must(err)
	if found.Status != "identified" || found.Customer.Customer.ID != guest || found.View.CustomerState != "VERIFIED" || found.Customer.Badge != "new" {
		t.Errorf("identified = %+v", found)
	}

	revised, err := s.ReviseBasket(ctx, s.call("reviseBasket"), uses.ReviseInput{SessionID: session.ID, Draft: coffee()})
	s.must(err)
	if b := revised.View.Basket; b.Revision != 1 || b.TotalMinor != 1275 || b.SubtotalMinor != 1275 || b.DiscountMinor != 0 || b.TaxMinor != 0 {
		t.Errorf("basket = %+v", b)
	}

	offer := s.apply100(session.ID)
	if c := s.session(session.ID); c.TotalMinor() != 1175 || c.DueMinor() != 1175 {
		t.Errorf("after the offer: total %d, due %d", c.TotalMinor(), c.DueMinor())
	}

	s.topUp(guest, 2500)
	payment := s.pay(session.ID, s.code(guest), 1175)
	if payment.Debit.PromoMinor() != 250 || payment.Debit.ActualMinor != 925 {
		t.Errorf("debit = %+v", payment.Debit)
	}

	closed := s.close(session.ID, []checkout.Tender{{Type: checkout.Wallet, AmountMinor: 1175, PaymentID: payment.ID}})
	tx := closed.Sale.Transaction
	if closed.View.Session.State != checkout.Closed || closed.View.Session.TransactionID != tx.ID || closed.View.Session.DueMinor() != 0 {
		t.Errorf("session = %+v", closed.View.Session)
	}
	if tx.TotalMinor != 1175 || tx.DiscountMinor != 100 || tx.SubtotalMinor != 1275 || tx.Buyer.CustomerID != guest || tx.ReceiptNumber != "01-000001" {
		t.Errorf("transaction = %+v", tx)
	}
	want := []checkout.Movement{{Class: money.Promo, DebitedMinor: 250, CreditedMinor: 58}, {Class: money.Actual, DebitedMinor: 925}}
	got := tx.Movements()
	for i := range got {
		if len(got[i].EntryIDs) == 0 {
			t.Errorf("%s names no ledger entry", got[i].Class)
		}
		got[i].EntryIDs = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("money movement (-want +got):\n%s", diff)
	}

	cashback := tx.Ruling(actuation.KindCashback)
	if g := closed.Sale.Cashback; cashback.State != checkout.Committed || cashback.AmountMinor != 58 || g == nil || g.AmountMinor != 58 ||
		g.State != core.Released || g.Source != core.SourceCashback || g.OriginID != tx.ID {
		t.Errorf("cashback = %+v, grant %+v", cashback, closed.Sale.Cashback)
	}
	attribution := tx.Ruling(actuation.KindAttribution)
	if len(attribution.Offers) == 0 || attribution.Offers[0].OfferID != offer || attribution.Offers[0].Outcome != "redeemed" ||
		attribution.Offers[0].AttributedMinor != 1175 || attribution.Offers[0].DiscountMinor != 100 {
		t.Errorf("attribution = %+v", attribution)
	}
	if b := s.balance(guest); b.ActualMinor != 1575 || b.PromoAvailableMinor != 58 {
		t.Errorf("balance = %+v", b)
	}

	read, err := s.transactions.Get(ctx, s.call("getTransaction"), transactions.GetInput{IntegrationID: s.tenant.PartnerID, TransactionID: tx.ID})
	s.must(err)
	if diff := cmp.Diff(closed.Sale, read, ignoreAsked, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what the close answered is not what is read (-closed +read):\n%s", diff)
	}
	s.replays(tx.TraceID)
	s.sound()

	for _, kind := range []string{"checkout.session.opened", "checkout.session.identified", "checkout.session.basket_revised", "checkout.session.closed", "transaction.created", "offer.redeemed"} {
		if n := len(s.events(kind)); n != 1 {
			t.Errorf("%d events %s", n, kind)
		}
	}
	if paid, err := s.uow.Read().Ledger.Payment(ctx, s.tenant, payment.ID); err != nil || paid.TransactionID != tx.ID {
		t.Errorf("the payment belongs to %q, %v", paid.TransactionID, err)
	}
	_, err = s.Close(ctx, s.call("closeCheckoutSession"), uses.CloseInput{SessionID: session.ID, Tenders: cash(1175)})
	wantCode(t, err, fault.CodeSessionEnded)
}

// ignoreAsked leaves out what a ruling was asked: the trace keeps it once it is
// decided.
var ignoreAsked = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Snapshot" }, cmp.Ignore())

// apply100 asks for offers and applies the one that is worth 100.
func (s *shop) apply100(session string) string {
	s.t.Helper()
	feed, err := s.offers.SessionOffers(s.t.Context(), s.call("getSessionOffers"), incentives.FeedInput{SessionID: session})
	s.must(err)
	for _, o := range feed.Feed.Offers {
		if o.Value.AmountMinor != 100 {
			continue
		}
		_, err := s.offers.ApplyOffer(s.t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: o.OfferID, SessionID: session})
		s.must(err)
		return o.OfferID
	}
	s.t.Fatalf("no offer is worth 100: %+v", feed.Feed.Offers)
	return ""
}

// replays asks the actuators of a trace again.
func (s *shop) replays(traceID string) {
	s.t.Helper()
	tr, err := s.uow.Read().Decisions.Trace(s.t.Context(), s.tenant, traceID)
	s.must(err)
	s.must(s.transactions.Replay(s.t.Context(), tr))
}
