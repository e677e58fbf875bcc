package checkout_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	uses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

const ann, bob = "+14155550101", "+14155550102"

func TestOpenTakesCredentialAndBasketAlong(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.PendingProof)
	d, c := coffee(), byPhone(ann)
	out, err := s.Open(t.Context(), s.call("openCheckoutSession"), uses.OpenInput{Currency: "USD", Credential: &c, Basket: &d})
	s.must(err)
	v := out.View
	if out.Status != "identified" || v.Session.CustomerID != guest || v.CustomerState != "PENDING_PROOF" || v.Session.TotalMinor() != 1275 ||
		v.Basket.Revision != 1 || v.Session.Channel != "in_store" || !v.Session.ExpiresAt.Equal(start.Add(time.Hour)) {
		t.Errorf("opened = %+v", out)
	}
	if n := len(s.events()); n != 3 {
		t.Errorf("%d events, want opened, identified and basket_revised", n)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	twice := checkout.Draft{Lines: []checkout.Line{{LineID: "1", SKU: "A", Quantity: 1}, {LineID: "1", SKU: "A", Quantity: 1}}}
	unknown := identity.Credential{Type: "retina", Value: "x"}
	for _, c := range []struct {
		name  string
		in    uses.OpenInput
		code  fault.Code
		field string
	}{
		{"a currency that is not enabled", uses.OpenInput{Currency: "EUR"}, fault.CodeUnsupportedCurrency, "currency"},
		{"a line twice", uses.OpenInput{Currency: "USD", Basket: &twice}, fault.CodeValidationFailed, "basket.lines[1].line_id"},
		{"a credential that is not enabled", uses.OpenInput{Currency: "USD", Credential: &unknown}, fault.CodeUnsupportedCredentialType, ""},
	} {
		_, err := s.Open(t.Context(), s.call("openCheckoutSession"), c.in)
		wantCode(t, err, c.code)
		if c.field != "" && fault.As(err).Details[0].Field != c.field {
			t.Errorf("%s: field %s", c.name, fault.As(err).Details[0].Field)
		}
	}
	if n := s.count("select count(*) from checkout_sessions"); n != 0 {
		t.Errorf("%d sessions were written by refused calls", n)
	}
}

func TestOfConcurrentRevisionsOneWins(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.open("", coffee())
	var mu sync.Mutex
	var wg sync.WaitGroup
	wins := 0
	for i := range 8 {
		wg.Go(func() {
			d := coffee()
			d.Lines[0].Quantity = int64(i + 1)
			_, err := s.ReviseBasket(t.Context(), s.call("reviseBasket"), uses.ReviseInput{SessionID: c.ID, Expected: 1, Draft: d})
			mu.Lock()
			defer mu.Unlock()
			var f *fault.Error
			switch {
			case err == nil:
				wins++
			case !errors.As(err, &f) || f.Code != fault.CodeRevisionConflict || !strings.Contains(f.Details[0].Message, "revision 2"):
				t.Errorf("err = %v", err)
			}
		})
	}
	wg.Wait()
	if now := s.session(c.ID); wins != 1 || now.BasketRevision != 2 {
		t.Errorf("%d won, revision %d", wins, now.BasketRevision)
	}
}

func TestARevisionReleasesOffersThatNoLongerFit(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	c := s.open("", coffee())
	offer := s.apply100(c.ID)
	tea := checkout.Draft{Lines: []checkout.Line{{LineID: "1", SKU: "TEA", Quantity: 1, UnitPriceMinor: 300}}}
	out, err := s.ReviseBasket(t.Context(), s.call("reviseBasket"), uses.ReviseInput{SessionID: c.ID, Expected: 1, Draft: tea})
	s.must(err)
	if len(out.Released) != 1 || out.Released[0].OfferID != offer || out.Released[0].State != "released" || len(out.View.Offers) != 0 {
		t.Errorf("released = %+v, in force %+v", out.Released, out.View.Offers)
	}
	if out.View.Session.TotalMinor() != 300 || out.View.Session.DiscountMinor != 0 {
		t.Errorf("session = %+v", out.View.Session)
	}
}

func TestABasketCannotFallBelowWhatIsPaid(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	c := s.open(ann, coffee())
	s.topUp(guest, 2000)
	s.pay(c.ID, s.code(guest), 1000)
	_, err := s.ReviseBasket(t.Context(), s.call("reviseBasket"), uses.ReviseInput{SessionID: c.ID, Expected: 1})
	wantCode(t, err, fault.CodeStateConflict)
	if now := s.session(c.ID); now.BasketRevision != 1 || now.DueMinor() != 275 {
		t.Errorf("session = %+v", now)
	}
}

func TestReadingBaskets(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	opened, err := s.Open(t.Context(), s.call("openCheckoutSession"), uses.OpenInput{Currency: "USD"})
	s.must(err)
	id := opened.View.Session.ID
	if b, err := s.GetBasket(t.Context(), s.call("getBasket"), uses.BasketInput{SessionID: id}); err != nil || b != nil {
		t.Errorf("before the first: %+v, %v", b, err)
	}
	for revision := range int64(2) {
		_, err := s.ReviseBasket(t.Context(), s.call("reviseBasket"), uses.ReviseInput{SessionID: id, Expected: revision, Draft: coffee()})
		s.must(err)
	}
	for asked, want := range map[int64]int64{0: 2, 1: 1, 2: 2} {
		if b, err := s.GetBasket(t.Context(), s.call("getBasket"), uses.BasketInput{SessionID: id, Revision: asked}); err != nil || b.Revision != want {
			t.Errorf("revision %d: %+v, %v", asked, b, err)
		}
	}
	_, err = s.GetBasket(t.Context(), s.call("getBasket"), uses.BasketInput{SessionID: id, Revision: 3})
	wantCode(t, err, fault.CodeNotFound)
}

func TestIdentifyBindsACodeToTheSession(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	first, second := s.open("", coffee()), s.open("", coffee())
	code := s.code(guest)
	out, err := s.Identify(t.Context(), s.call("identifyCheckoutSession"), uses.IdentifyInput{SessionID: first.ID, Credential: code})
	s.must(err)
	if out.View.Session.CustomerID != guest || out.View.Session.CredentialType != "qr" || out.View.Session.TotalMinor() != 1275 {
		t.Errorf("session = %+v", out.View.Session)
	}
	_, err = s.Identify(t.Context(), s.call("identifyCheckoutSession"), uses.IdentifyInput{SessionID: second.ID, Credential: code})
	wantCode(t, err, fault.CodeStateConflict)
	if c := s.session(second.ID); c.CustomerID != "" {
		t.Error("another session's code identified this one")
	}
	// It still pays, once, in its own session.
	s.topUp(guest, 2000)
	s.pay(first.ID, code, 1275)
}

func TestAnotherCustomer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	guest, other := s.guest(ann, identity.Verified), s.guest(bob, identity.Verified)
	identify := func(session, phone string) (uses.Identified, error) {
		return s.Identify(t.Context(), s.call("identifyCheckoutSession"), uses.IdentifyInput{SessionID: session, Credential: byPhone(phone)})
	}
	free := s.open(ann, coffee())
	if out, err := identify(free.ID, bob); err != nil || out.View.Session.CustomerID != other {
		t.Errorf("before anything happened: %+v, %v", out.View.Session, err)
	}
	held := s.open(ann, coffee())
	s.apply100(held.ID)
	_, err := identify(held.ID, bob)
	wantCode(t, err, fault.CodeStateConflict)
	if out, err := identify(held.ID, ann); err != nil || out.View.Session.DiscountMinor != 100 {
		t.Errorf("the same customer again: %+v, %v", out.View.Session, err)
	}
	if n := len(s.events("checkout.session.identified")); n != 3 { // two opened for Ann, one became Bob's
		t.Errorf("%d identifications were told", n)
	}
	paid := s.open(ann, coffee())
	s.topUp(guest, 2000)
	s.pay(paid.ID, s.code(guest), 100)
	_, err = identify(paid.ID, bob)
	wantCode(t, err, fault.CodeStateConflict)
}

func TestAnAnonymousSessionMergesWithItsOffers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	guest := s.guest(ann, identity.Verified)
	c := s.open("", coffee())
	s.apply100(c.ID)
	out, err := s.Identify(t.Context(), s.call("identifyCheckoutSession"), uses.IdentifyInput{SessionID: c.ID, Credential: byPhone(ann)})
	s.must(err)
	if out.View.Session.CustomerID != guest || out.View.Session.TotalMinor() != 1175 || len(out.View.Offers) != 1 {
		t.Errorf("merged = %+v", out.View)
	}
}

func TestAbandon(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	guest := s.guest(ann, identity.Verified)
	c := s.open(ann, coffee())
	s.apply100(c.ID)
	out, err := s.Abandon(t.Context(), s.call("abandonCheckoutSession"), uses.AbandonInput{SessionID: c.ID, Reason: "price", Note: "too dear"})
	s.must(err)
	if out.View.Session.State != checkout.Abandoned || out.Reason != "price" || len(out.Released) != 1 || out.View.Session.TotalMinor() != 1275 {
		t.Errorf("abandoned = %+v", out)
	}
	_, err = s.Abandon(t.Context(), s.call("abandonCheckoutSession"), uses.AbandonInput{SessionID: c.ID})
	wantCode(t, err, fault.CodeSessionEnded)
	_, err = s.ReviseBasket(t.Context(), s.call("reviseBasket"), uses.ReviseInput{SessionID: c.ID, Expected: 1})
	wantCode(t, err, fault.CodeSessionEnded)

	paid := s.open(ann, coffee())
	s.topUp(guest, 2000)
	s.pay(paid.ID, s.code(guest), 100)
	_, err = s.Abandon(t.Context(), s.call("abandonCheckoutSession"), uses.AbandonInput{SessionID: paid.ID})
	wantCode(t, err, fault.CodeStateConflict)
	for _, e := range s.events("checkout.session.abandoned") {
		if strings.Contains(string(e.Data), "dear") {
			t.Error("the cashier's note is in an event")
		}
	}
}

func TestPlacesAndTenantsAreApart(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.open("", coffee())
	elsewhere := s.call("getCheckoutSession")
	elsewhere.Actor.BrandID, elsewhere.Actor.BranchID = "brd_1", "brn_2"
	_, err := s.Get(t.Context(), elsewhere, c.ID)
	wantCode(t, err, fault.CodeNotFound)
	_, err = s.Abandon(t.Context(), elsewhere, uses.AbandonInput{SessionID: c.ID})
	wantCode(t, err, fault.CodeNotFound)
	foreign := s.call("getCheckoutSession")
	foreign.Tenant = tenancy.Tenant{PartnerID: "par_x", Mode: tenancy.Sandbox, MerchantID: "mer_x", No: s.tenant.No + 1}
	_, err = s.Get(t.Context(), foreign, c.ID)
	wantCode(t, err, fault.CodeNotFound)
	if out, err := s.Get(t.Context(), s.call("getCheckoutSession"), c.ID); err != nil || out.View.Session.ID != c.ID {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestGetShowsTheCustomerAsTheyAreNow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	c := s.open(ann, coffee())
	out, err := s.Get(t.Context(), s.call("getCheckoutSession"), c.ID)
	s.must(err)
	if out.Customer == nil || out.Customer.Customer.ID != guest {
		t.Errorf("customer = %+v", out.Customer)
	}
	s.must(s.uow.Read().Identity.SetStatus(t.Context(), s.tenant, guest, identity.Disabled, start))
	out, err = s.Get(t.Context(), s.call("getCheckoutSession"), c.ID)
	if err != nil || out.Customer != nil {
		t.Errorf("a disabled customer is shown: %+v, %v", out.Customer, err)
	}
}

func TestASessionPastItsTimeTakesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.guest(ann, identity.Verified)
	c := s.open("", coffee())
	s.clock.Advance(time.Hour)
	calls := map[string]func() error{
		"identify": func() error {
			_, err := s.Identify(t.Context(), s.call("a"), uses.IdentifyInput{SessionID: c.ID, Credential: byPhone(ann)})
			return err
		},
		"basket": func() error {
			_, err := s.ReviseBasket(t.Context(), s.call("b"), uses.ReviseInput{SessionID: c.ID, Expected: 1})
			return err
		},
		"close": func() error {
			_, err := s.Close(t.Context(), s.call("c"), uses.CloseInput{SessionID: c.ID, Tenders: cash(1275)})
			return err
		},
		"abandon": func() error {
			_, err := s.Abandon(t.Context(), s.call("d"), uses.AbandonInput{SessionID: c.ID})
			return err
		},
	}
	for name, f := range calls {
		if err := f(); !fault.Is(err, fault.CodeSessionEnded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// replayOf gives the stored outcome that err stands for, or "".
func replayOf(err error) string {
	var r *app.Replay
	if errors.As(err, &r) {
		return string(r.Record.Outcome.Body)
	}
	return ""
}

func TestARepeatedCallIsReplayed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.open("", coffee())
	key := "7f6f2e7c-3c1b-4f6e-9a44-0d5a1c0b8f11"
	first, err := s.Close(t.Context(), s.callWith("closeCheckoutSession", key), uses.CloseInput{SessionID: c.ID, Tenders: cash(1275)})
	s.must(err)
	_, err = s.Close(t.Context(), s.callWith("closeCheckoutSession", key), uses.CloseInput{SessionID: c.ID, Tenders: cash(1275)})
	if got := replayOf(err); got != first.Sale.Transaction.ID {
		t.Errorf("the repetition got %v, want the outcome of the first", err)
	}
	if n := s.count("select count(*) from transactions"); n != 1 {
		t.Errorf("%d transactions", n)
	}
}

func TestConcurrentClosesWriteOneTransaction(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func(i int) string{
		"one key":  func(int) string { return "7f6f2e7c-3c1b-4f6e-9a44-0d5a1c0b8f11" },
		"own keys": func(i int) string { return fmt.Sprintf("7f6f2e7c-3c1b-4f6e-9a44-0d5a1c0b8f%02d", i) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.guest(ann, identity.Verified)
			c := s.open(ann, coffee())
			var mu sync.Mutex
			var wg sync.WaitGroup
			done, replayed, ended := 0, 0, 0
			for i := range 8 {
				wg.Go(func() {
					_, err := s.Close(t.Context(), s.callWith("closeCheckoutSession", key(i)), uses.CloseInput{SessionID: c.ID, Tenders: cash(1275)})
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						done++
					case replayOf(err) != "":
						replayed++
					case fault.Is(err, fault.CodeSessionEnded):
						ended++
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if done != 1 || name == "one key" && replayed != 7 || name == "own keys" && ended != 7 {
				t.Errorf("%d closed, %d replayed, %d were told that it ended", done, replayed, ended)
			}
			if n := s.count("select count(*) from transactions"); n != 1 {
				t.Errorf("%d transactions", n)
			}
			if n := s.count("select count(*) from grants"); n != 1 {
				t.Errorf("%d cashback grants", n)
			}
			s.sound()
		})
	}
}
