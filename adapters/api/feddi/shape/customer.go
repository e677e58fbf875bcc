package shape

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/money"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// CustomerContext is what identifying somebody gives; nil where nobody was
// found. It holds nothing that can be spent (rule 1). The name is left out:
// every answer with a context is stored for its idempotency key, and stored
// answers hold no name, so that an erasure touches identity tables only. The
// cashier panel (GET /customers/lookup) shows it.
func CustomerContext(c *identities.CustomerContext) *partnerv1.CustomerContext {
	if c == nil {
		return nil
	}
	return &partnerv1.CustomerContext{
		CustomerId: c.Customer.ID, State: string(c.Customer.State), Balance: Balance(c.Balance), Program: programMessage(c.Program),
		Badge: string(c.Badge), Probationary: c.Probationary, LinkedCredentials: links(c.Links),
		UnclaimedCashback: Unclaimed(c.Unclaimed), MemberSince: timestamppb.New(c.Customer.CreatedAt),
	}
}

// Customer is a customer as a terminal may see one: the phone masked.
func Customer(c *identities.CustomerContext) *partnerv1.Customer {
	who := c.Customer
	return &partnerv1.Customer{
		CustomerId: who.ID, State: string(who.State), Name: Optional(who.Name), PhoneMasked: Optional(identity.MaskPhone(who.Phone)),
		Language: Optional(who.Locale), Badge: string(c.Badge), MemberSince: timestamppb.New(who.CreatedAt), VerifiedAt: Stamp(who.VerifiedAt),
		Lifetime: lifetime(c.Lifetime), Program: programMessage(c.Program), LinkedCredentials: links(c.Links), MergedInto: Optional(who.MergedInto),
		CreatedAt: timestamppb.New(who.CreatedAt), UpdatedAt: timestamppb.New(who.UpdatedAt),
	}
}

// CustomerInFull is a customer as a key may see one: with all that they told.
func CustomerInFull(c *identities.CustomerContext) *partnerv1.Customer {
	out := Customer(c)
	out.Phone, out.Email, out.BirthDate = Optional(c.Customer.Phone), Optional(c.Customer.Email), Optional(c.Customer.BirthDate)
	return out
}

func lifetime(l identity.Lifetime) *partnerv1.LifetimeActivity {
	return &partnerv1.LifetimeActivity{
		TransactionsCount: l.Transactions, SpentMinor: l.SpentMinor, DiscountMinor: l.DiscountMinor, CashbackEarnedMinor: l.CashbackEarnedMinor,
		Currency: l.Currency, FirstTransactionAt: Stamp(l.FirstAt), LastTransactionAt: Stamp(l.LastAt),
	}
}

func programMessage(p identities.Program) *partnerv1.Program {
	return &partnerv1.Program{
		ProgramId: p.ID, Name: p.Name, MerchantId: p.MerchantID, Currency: p.Currency, CashbackBp: int32(p.CashbackBP),
		ClaimGate: string(p.ClaimGate), ClaimGateMet: p.ClaimGateMet, Tier: Optional(p.Tier), JoinedAt: timestamppb.New(p.JoinedAt),
	}
}

// Unclaimed is cashback that waits for its release; nil where there is none.
func Unclaimed(u *identities.Unclaimed) *partnerv1.UnclaimedCashback {
	if u == nil {
		return nil
	}
	return &partnerv1.UnclaimedCashback{
		AmountMinor: u.AmountMinor, Currency: u.Currency, GrantsCount: int32(u.Grants), ExpiresAt: Stamp(u.ExpiresAt), Needs: u.Needs,
	}
}

func links(list []identity.Link) []*partnerv1.LinkedCredential {
	out := make([]*partnerv1.LinkedCredential, 0, len(list))
	for _, l := range list {
		out = append(out, Link(l))
	}
	return out
}

// Link is one way a customer is recognised, its value masked.
func Link(l identity.Link) *partnerv1.LinkedCredential {
	return &partnerv1.LinkedCredential{
		CredentialId: l.ID, CredentialType: string(l.Type), MaskedValue: l.MaskedValue, Probationary: l.Probationary, State: string(l.State),
		Provider: Optional(l.Provider), Card: linkedCard(l.Card), LinkedAt: timestamppb.New(l.LinkedAt), LastUsedAt: Stamp(l.LastUsedAt),
	}
}

func linkedCard(c *identity.LinkedCard) *partnerv1.LinkedCard {
	if c == nil {
		return nil
	}
	return &partnerv1.LinkedCard{
		Scheme: c.Scheme, FirstSix: Optional(c.FirstSix), LastFour: c.LastFour,
		ExpiryMonth: positive[int32](int64(c.ExpiryMonth)), ExpiryYear: positive[int32](int64(c.ExpiryYear)),
	}
}

// Activities are what a customer did lately, newest first.
func Activities(list []identity.Activity) []*partnerv1.CustomerActivity {
	out := make([]*partnerv1.CustomerActivity, 0, len(list))
	for _, a := range list {
		_, unique, _ := strings.Cut(a.ReferenceID, "_")
		row := &partnerv1.CustomerActivity{
			ActivityId: "act_" + unique, Type: a.Type, Summary: summary(a), ReferenceId: Optional(a.ReferenceID),
			BranchId: Optional(a.BranchID), OccurredAt: timestamppb.New(a.At),
		}
		if amount, class := moved(a); class != "" {
			row.AmountMinor, row.MoneyClass, row.Currency = &amount, Optional(string(class)), Optional(a.Currency)
		}
		out = append(out, row)
	}
	return out
}

// moved is what an activity moved in the wallet, negative where the customer
// paid. A sale that took both classes shows the actual money; its summary tells
// of both, for classes are never summed (rule 22).
func moved(a identity.Activity) (int64, money.Class) {
	switch {
	case a.Type == "topup":
		return a.AmountMinor, money.Actual
	case a.Type == "grant":
		return a.AmountMinor, money.Promo
	case a.ActualMinor > 0:
		return -a.ActualMinor, money.Actual
	case a.PromoMinor > 0:
		return -a.PromoMinor, money.Promo
	}
	return 0, ""
}

// summary is an activity in a line that a cashier can read.
func summary(a identity.Activity) string {
	amount := func(minor int64) string { return decimal(minor, money.Currency(a.Currency)) }
	switch a.Type {
	case "topup":
		return "Topped up " + amount(a.AmountMinor)
	case "grant":
		return fmt.Sprintf("Got %s of promotional credit (%s)", amount(a.AmountMinor), strings.ToLower(strings.ReplaceAll(a.Detail, "_", " ")))
	}
	if text, ok := standing(a); ok {
		return text
	}
	text := "Bought for " + amount(a.AmountMinor)
	var parts []string
	if a.ActualMinor > 0 {
		parts = append(parts, amount(a.ActualMinor)+" from the wallet")
	}
	if a.PromoMinor > 0 {
		parts = append(parts, amount(a.PromoMinor)+" from promotional credit")
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// standing is an activity that moved nothing; false for one that did.
func standing(a identity.Activity) (string, bool) {
	switch a.Type {
	case "enrollment":
		if a.Detail == string(identity.Verified) {
			return "Proved the phone", true
		}
		return "Was sent a code to prove the phone", true
	case "consent":
		purpose, act, _ := strings.Cut(a.Detail, " ")
		if act == string(identity.ConsentGranted) {
			act = "Agreed to "
		} else {
			act = "Withdrew the consent to "
		}
		return act + strings.ReplaceAll(purpose, "_", " "), true
	}
	return "", false
}

// decimal writes minor units with the currency's digits, for people.
func decimal(minor int64, c money.Currency) string {
	digits := c.Exponent()
	s := fmt.Sprintf("%0*d", digits+1, minor)
	if digits == 0 {
		return s
	}
	return s[:len(s)-digits] + "." + s[len(s)-digits:]
}
