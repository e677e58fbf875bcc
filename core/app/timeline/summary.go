package timeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/offers"
)

const decisionMade = "decision.made"

// news are the members of events' data that summaries tell.
type news struct {
	State          string   `json:"state"`
	Reason         string   `json:"reason"`
	CredentialType string   `json:"credential_type"`
	BasketRevision int64    `json:"basket_revision"`
	TotalMinor     int64    `json:"total_minor"`
	AmountMinor    int64    `json:"amount_minor"`
	Currency       string   `json:"currency"`
	OfferIDs       []string `json:"offer_ids"`
	WithheldCount  int      `json:"withheld_count"`
}

// summary says in words a cashier can read what an event tells.
func (h history) summary(e event.Event) string {
	var n news
	_ = json.Unmarshal(e.Data, &n) // the words do without what is not there
	amount := func(minor int64) string { return money.Text(minor, n.Currency) }
	switch e.Type {
	case "checkout.session.opened":
		if h.till != "" {
			return "Session opened at " + h.till
		}
		return "Session opened"
	case "checkout.session.identified":
		if n.CredentialType != "" {
			return "Customer identified by " + words(n.CredentialType)
		}
		return "Customer identified"
	case "checkout.session.basket_revised":
		return fmt.Sprintf("Basket revision %d, total %s", n.BasketRevision, amount(n.TotalMinor))
	case "checkout.session.closed":
		return "Session closed, total " + amount(n.TotalMinor)
	case "checkout.session.abandoned":
		if n.State == string(checkout.Expired) {
			return "Session expired without a sale"
		}
		return "Session abandoned: " + words(n.Reason)
	case decisionMade:
		return fmt.Sprintf("Offers decided: %d shown, %d withheld", len(n.OfferIDs), n.WithheldCount)
	}
	if n.AmountMinor != 0 && n.Currency != "" {
		return described(e.Type) + ": " + amount(n.AmountMinor)
	}
	return described(e.Type)
}

// described is what the catalogue says of a type, without the full stop.
func described(kind string) string {
	types := event.Types()
	if i := slices.IndexFunc(types, func(t event.Type) bool { return t.Name == kind }); i >= 0 {
		return strings.TrimSuffix(types[i].Description, ".")
	}
	return kind
}

func words(code string) string { return strings.ReplaceAll(code, "_", " ") }

func summaryOfTill(e checkout.TillEvent) string {
	switch e.Type {
	case checkout.OfferShown:
		return "The till showed the offer to the customer"
	case checkout.OfferDeclined:
		return "The customer declined the offer"
	case checkout.TenderChosen:
		return "The customer chose to pay by " + words(e.TenderType)
	case checkout.PromptShown:
		return "The customer was asked: " + words(e.Prompt)
	case checkout.PromptSkipped:
		return "The question was skipped: " + words(e.Prompt)
	case checkout.RecoveryShown:
		return "The till showed ways out of the shortfall"
	case checkout.RecoveryDeclined:
		return "The customer declined the ways out of the shortfall"
	}
	return words(string(e.Type))
}

// tillData is the till's own data, with what its type says.
func tillData(e checkout.TillEvent) json.RawMessage {
	all := map[string]any{}
	_ = json.Unmarshal(e.Data, &all) // an object, as it was stored
	for name, value := range map[string]string{"tender_type": e.TenderType, "prompt": e.Prompt} {
		if value != "" {
			all[name] = value
		}
	}
	return encode(all)
}

// explain completes a counterfactual from the feed that judged its offer.
func (e *Entry) explain(feed offers.Feed) {
	data := map[string]any{"offer_version": e.not.Version, "value_minor": e.not.ValueMinor}
	if e.Type == offerNotShown {
		data["reason"] = e.not.Reason
		e.Summary = "An offer was evaluated and withheld: " + words(strings.ToLower(e.not.Reason))
		if i := slices.IndexFunc(feed.Withheld, func(w offers.Withheld) bool { return w.OfferID == e.OfferID }); i >= 0 {
			w := feed.Withheld[i]
			e.Summary = w.Title + " was evaluated and not shown: " + w.Card.Summary
			data["rule"] = w.Card.Rule
		}
		e.Data = encode(data)
		return
	}
	title := "An offer"
	if i := slices.IndexFunc(feed.Offers, func(o offers.Shown) bool { return o.OfferID == e.OfferID }); i >= 0 {
		title = feed.Offers[i].Title
		data["rank"] = feed.Offers[i].Rank
	}
	data["seen"] = e.not.SeenAt != nil
	data["reason"] = "session_ended"
	e.Summary = title + " was offered and not taken"
	if e.not.DeclinedAt != nil {
		data["reason"] = "customer_declined"
		e.Summary = title + " was offered and declined by the customer"
	}
	e.Data = encode(data)
}

func object(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}

// encode cannot fail: its input is strings, numbers and what was JSON before.
func encode(v map[string]any) json.RawMessage {
	raw, _ := json.Marshal(v)
	return raw
}
