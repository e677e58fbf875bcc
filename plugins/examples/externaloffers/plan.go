package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
)

// externaloffers is the actuator. It keeps nothing: the client is how Execute
// reaches the service.
type externaloffers struct{ client *http.Client }

// settings are what a merchant chooses.
type settings struct {
	URL           string `json:"url"`             // of the service's offers
	MaxAgeMinutes int64  `json:"max_age_minutes"` // older offers are not honoured
}

const settingsSchema = `{
  "type": "object",
  "additionalProperties": false,
  "required": ["url"],
  "properties": {
    "url":             {"type": "string", "pattern": "^https?://", "maxLength": 500, "description": "Where the service answers with the offers, as JSON."},
    "max_age_minutes": {"type": "integer", "minimum": 1, "maximum": 10080, "default": 60, "description": "How long offers count after they were fetched."}
  }
}`

// refresh is the command that fetches the offers.
const refresh = "offers.refresh"

// offer is a gift for whoever buys enough of something.
type offer struct {
	ID            string `json:"id"`
	Title         string `json:"title"`
	SKU           string `json:"sku"`             // that must be bought; empty for any sale
	MinTotalMinor int64  `json:"min_total_minor"` // that the sale must come to
	GiftMinor     int64  `json:"gift_minor"`
	ExpiryDays    int    `json:"expiry_days"` // of the gift; 0 means never
}

// stored are the facts that Execute answers with and Plan reads.
type stored struct {
	Offers []offer `json:"offers"`
}

// card holds the figures behind a decision.
type card struct {
	FetchedAt  *time.Time `json:"fetched_at"`
	AgeMinutes int64      `json:"age_minutes"`
	Offers     int        `json:"offers"`
	OfferID    string     `json:"offer_id,omitempty"`
	GiftMinor  int64      `json:"gift_minor"`
}

// Describe declares what it is and may do. Its failure policy has three parts:
//   - Optional: a sale never waits for this program.
//   - Offers that could not be refreshed count until max_age_minutes; after
//     that Plan refuses, with the reason on the card, rather than honour what
//     the service may have withdrawn.
//   - Execute says by Retryable whether Feddi shall try again.
func (externaloffers) Describe() sdk.Manifest {
	return sdk.Manifest{
		Name: "externaloffers", Version: "1.0.0", Description: "Gifts by the merchant's own offer service.",
		DecisionKinds: []sdk.Kind{sdk.KindUpsell}, EffectKinds: []sdk.EffectKind{sdk.EffectGrant},
		TimeLimit: 5 * time.Second, Policy: sdk.Optional, SettingsSchema: json.RawMessage(settingsSchema),
		CommandKinds: []string{refresh}, Schedules: []sdk.Schedule{{Command: refresh, Every: 5 * time.Minute}},
		Hosts: []string{"*"}, // the merchant's: named by install --allow-host
	}
}

// Plan answers one sale, from the snapshot alone.
func (externaloffers) Plan(_ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	set := settings{MaxAgeMinutes: 60}
	if err := s.DecodeSettings(&set); err != nil {
		return sdk.Plan{}, err
	}
	var known stored
	if err := s.DecodeStored(&known); err != nil {
		return sdk.Plan{}, err
	}
	var sale struct {
		Lines []struct {
			SKU string `json:"sku"`
		} `json:"lines"`
	}
	if err := s.DecodeFacts(&sale); err != nil {
		return sdk.Plan{}, err
	}
	c := card{Offers: len(known.Offers)}
	if !s.StoredAt.IsZero() {
		c.FetchedAt, c.AgeMinutes = &s.StoredAt, max(int64(s.At.Sub(s.StoredAt)/time.Minute), 0)
	}
	switch {
	case s.CustomerID == "":
		return refuse(sdk.RefusalUnidentified, "No gift: the customer was not identified.", c)
	case c.FetchedAt == nil:
		return refuse("not_fetched", "No gift: the offers were not fetched yet.", c)
	case c.AgeMinutes > set.MaxAgeMinutes:
		return refuse("stale", fmt.Sprintf("No gift: the offers are %d minutes old.", c.AgeMinutes), c)
	}
	bought := map[string]bool{"": true}
	for _, l := range sale.Lines {
		bought[l.SKU] = true
	}
	found := best(known.Offers, s.AmountMinor, bought)
	if found == nil {
		return refuse("no_offer", "No gift: none of the offers fits this sale.", c)
	}
	c.OfferID, c.GiftMinor = found.ID, min(found.GiftMinor, s.Allowance.MaxGrantMinor)
	if c.GiftMinor <= 0 {
		return refuse("not_allowed", "An offer fits, but there is nothing left to give.", c)
	}
	gift := s.Grant("OFFER", c.GiftMinor)
	if found.ExpiryDays > 0 {
		gift.ExpiresAt = s.At.AddDate(0, 0, found.ExpiryDays)
	}
	why, err := reason("externaloffers.gift", found.Title+": "+sdk.Amount(c.GiftMinor, s.Currency)+" for the next visit.", c)
	return sdk.Plan{Effects: []sdk.Effect{gift}, Reasoning: why}, err
}

// best is the offer that gives most, the first of equals; nil where none fits.
func best(offers []offer, total int64, bought map[string]bool) *offer {
	var found *offer
	for i := range offers {
		o := &offers[i]
		if o.MinTotalMinor <= total && bought[o.SKU] && (found == nil || o.GiftMinor > found.GiftMinor) {
			found = o
		}
	}
	return found
}

func refuse(word, text string, c card) (sdk.Plan, error) {
	why, err := reason("externaloffers."+word, text, c)
	return sdk.Plan{Refusal: word, Reasoning: why}, err
}

func reason(rule, text string, c card) (sdk.Reasoning, error) {
	figures, err := json.Marshal(c)
	return sdk.Reasoning{Summary: text, Rule: rule, Facts: figures}, err
}
