package identity_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/receipt"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/receipts"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/messaging"
	"github.com/feddi/feddi/core/tenancy"
)

func (b *bench) receipts() *receipts.Service {
	return &receipts.Service{
		UoW: b.uow, Clock: b.clock, IDs: b.ids, Courier: b.outbox, Print: receipt.Text,
		Transactions: &transactions.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: b.enrollment.Directory},
	}
}

// sale records a sale to a customer; empty for nobody.
func (b *bench) sale(t testing.TB, customerID string) checkout.Transaction {
	t.Helper()
	tx := checkout.Transaction{
		ID: b.ids.Make(ids.Transaction), Tenant: b.tenant, Origin: checkout.OriginPOS, Place: tenancy.Place{BrandID: "brd_1", BranchID: "brn_1"}, Currency: "USD", SubtotalMinor: 1175, TotalMinor: 1175,
		Buyer: checkout.Buyer{CustomerID: customerID, State: "VERIFIED"}, CreatedAt: b.clock.Now(),
		Lines:   []checkout.Line{{LineID: "1", SKU: "LATTE", Name: "Caffe latte", Quantity: 1, UnitPriceMinor: 1175}},
		Tenders: []checkout.Paid{{Tender: checkout.Tender{Type: "cash", AmountMinor: 1175}}},
	}
	must(t, b.uow.Read().Checkout.Record(t.Context(), &tx))
	return tx
}

func (b *bench) send(t testing.TB, transactionID, channel string) (receipts.Queued, error) {
	t.Helper()
	return b.receipts().Send(t.Context(), b.call("sendReceipt"), receipts.SendInput{TransactionID: transactionID, Channel: channel})
}

func TestAReceiptIsQueuedAndGoesByAConsentedChannelOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	tx := b.sale(t, c.ID)
	_, err := b.send(t, tx.ID, "sms")
	wantCode(t, err, fault.CodeConsentRequired)
	_, err = b.send(t, tx.ID, "")
	wantCode(t, err, fault.CodeStateConflict) // no channel was chosen
	b.agree(t, c.ID, identity.ForReceipts, "sms", identity.ConsentGranted)
	sms := "sms"
	_, err = b.customers.UpdatePreferences(t.Context(), b.call("updateCustomerPreferences"), customers.PreferencesInput{
		CustomerID: c.ID, Change: identity.PreferenceChange{ReceiptChannel: &sms},
	})
	must(t, err)
	got, err := b.send(t, tx.ID, "")
	must(t, err)
	if got.Channel != "sms" || got.State != messaging.Queued || got.MaskedDestination == guest || !strings.HasSuffix(got.MaskedDestination, "23") {
		t.Errorf("%+v", got)
	}
	sent := len(b.outbox.Latest(b.tenant))
	other := b.receipts()
	other.Mode = tenancy.Production
	if n, err := other.Deliver(t.Context(), 500); err != nil || n != 0 {
		t.Errorf("a server of the other mode delivered %d, %v", n, err)
	}
	n, err := b.receipts().Deliver(t.Context(), 500)
	must(t, err)
	messages := b.outbox.Latest(b.tenant)
	if n != 1 || len(messages) != sent+1 || messages[0].To != guest || messages[0].ID != got.ID || !strings.Contains(messages[0].Text, "Caffe latte") {
		t.Errorf("%d delivered: %+v", n, messages[0])
	}
	if again, err := b.receipts().Deliver(t.Context(), 500); err != nil || again != 0 {
		t.Errorf("delivered again: %d %v", again, err)
	}
	stored, err := b.uow.Read().Messaging.Message(t.Context(), b.tenant, got.ID)
	if err != nil || stored.State != messaging.Sent || stored.EndedAt == nil {
		t.Errorf("%+v %v", stored, err)
	}
	off := customers.PreferencesInput{CustomerID: c.ID, Change: identity.PreferenceChange{Channels: map[string]bool{"sms": false}}}
	_, err = b.customers.UpdatePreferences(t.Context(), b.call("updateCustomerPreferences"), off)
	must(t, err)
	_, err = b.send(t, tx.ID, "sms")
	wantCode(t, err, fault.CodeConsentRequired)
}

func TestWhoWithdrawsGetsNoQueuedReceipt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	b.agree(t, c.ID, identity.ForReceipts, "sms", identity.ConsentGranted)
	got, err := b.send(t, b.sale(t, c.ID).ID, "sms")
	must(t, err)
	b.clock.Advance(time.Second)
	b.agree(t, c.ID, identity.ForReceipts, "sms", identity.ConsentWithdrawn)
	before := len(b.outbox.Latest(b.tenant))
	_, err = b.receipts().Deliver(t.Context(), 10)
	must(t, err)
	stored, err := b.uow.Read().Messaging.Message(t.Context(), b.tenant, got.ID)
	if err != nil || stored.State != messaging.Cancelled || len(b.outbox.Latest(b.tenant)) != before {
		t.Errorf("%+v %v", stored, err)
	}
}

// broken is a courier that fails.
type broken struct{ err error }

func (c broken) Deliver(context.Context, identity.Message) error { return c.err }

func TestAReceiptIsTriedForADay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	b.agree(t, c.ID, identity.ForReceipts, "sms", identity.ConsentGranted)
	tx := b.sale(t, c.ID)
	got, err := b.send(t, tx.ID, "sms")
	must(t, err)
	down := b.receipts()
	down.Courier = broken{errors.New("the gateway answered 503")}
	tries := 0
	for range 3 * 24 * 60 { // minutes, three days of them
		if n, _ := down.Deliver(t.Context(), 10); n == 1 {
			tries++
		}
		b.clock.Advance(5 * time.Minute)
		if stored, err := b.uow.Read().Messaging.Message(t.Context(), b.tenant, got.ID); err != nil || stored.State != messaging.Queued {
			break
		}
	}
	stored, err := b.uow.Read().Messaging.Message(t.Context(), b.tenant, got.ID)
	if err != nil || stored.State != messaging.Failed || tries < 20 || tries > 40 {
		t.Errorf("%+v after %d tries: %v", stored, tries, err)
	}
	refused, err := b.send(t, tx.ID, "sms")
	must(t, err)
	down.Courier = broken{&identity.Refused{Cause: errors.New("400")}}
	_, err = down.Deliver(t.Context(), 10)
	must(t, err)
	if stored, err = b.uow.Read().Messaging.Message(t.Context(), b.tenant, refused.ID); err != nil || stored.Cause != "refused" {
		t.Errorf("%+v %v", stored, err)
	}
}

func TestWhoseReceiptIsSent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.initiate(t, guest).Customer
	b.agree(t, c.ID, identity.ForReceipts, "", identity.ConsentGranted)
	_, err := b.send(t, b.sale(t, "").ID, "sms")
	wantCode(t, err, fault.CodeStateConflict)
	tx := b.sale(t, c.ID)
	_, err = b.send(t, tx.ID, "sms") // a phone that nobody proved could be somebody else's
	wantCode(t, err, fault.CodeStateConflict)
	_, err = b.send(t, tx.ID, "email")
	wantCode(t, err, fault.CodeStateConflict)
	push, err := b.send(t, tx.ID, "push")
	must(t, err)
	if push.Channel != "push" {
		t.Errorf("%+v", push)
	}
	_, err = b.send(t, "txn_none", "sms")
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.receipts().Send(t.Context(), b.callOf(b.merchant(t), "sendReceipt"), receipts.SendInput{TransactionID: tx.ID, Channel: "push"})
	wantCode(t, err, fault.CodeNotFound)
	call := b.call("sendReceipt")
	call.Actor.BranchID = "brn_other"
	_, err = b.receipts().Send(t.Context(), call, receipts.SendInput{TransactionID: tx.ID, Channel: "push"})
	wantCode(t, err, fault.CodeNotFound)
}

func TestMaskedDestinations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ channel, to, want string }{
		{"email", "ada@example.com", "a**@example.com"}, {"email", "a@example.com", "a*@example.com"}, {"sms", guest, "+1********23"},
	} {
		if got := identity.MaskDestination(c.channel, c.to); len(got) == 0 || got == c.to || c.channel == "email" && got != c.want {
			t.Errorf("%s of %s is %s", c.channel, c.to, got)
		}
	}
}
