package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
)

// punchcard is the actuator. It remembers nothing: everything that it needs to
// know is in the snapshot, so that Feddi can ask again and compare.
type punchcard struct{}

// settings are what a merchant may choose.
type settings struct {
	Category   string `json:"category"`    // what is counted, as the till names it
	Every      int64  `json:"every"`       // how many make a full card
	ExpiryDays int    `json:"expiry_days"` // how long the gift lasts; 0 means for ever
}

// settingsSchema is what Feddi holds the settings to before it stores them.
const settingsSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "category":    {"type": "string", "minLength": 1, "maxLength": 60, "default": "coffee", "description": "Category of the lines that are counted."},
    "every":       {"type": "integer", "minimum": 2, "maximum": 100, "default": 10, "description": "How many make a full card."},
    "expiry_days": {"type": "integer", "minimum": 0, "maximum": 3650, "default": 30, "description": "Days that the gift lasts; 0 means for ever."}
  }
}`

// facts are the part of the sale that it looks at.
type facts struct {
	Lines []struct {
		Category   string `json:"category"`
		Quantity   int64  `json:"quantity"`
		TotalMinor int64  `json:"total_minor"`
	} `json:"lines"`
	History struct {
		Categories map[string]struct {
			Quantity int64 `json:"quantity"` // bought before this sale
		} `json:"categories"`
	} `json:"history"`
}

// card holds the figures behind a decision; it is shown with it.
type card struct {
	Category  string `json:"category"`
	Every     int64  `json:"every"`
	Before    int64  `json:"before"`
	Now       int64  `json:"now"`
	FullCards int64  `json:"full_cards"`
	GiftMinor int64  `json:"gift_minor"`
	Missing   int64  `json:"missing"`
}

// Describe declares what it is and may do. Feddi holds it to that.
func (punchcard) Describe() sdk.Manifest {
	return sdk.Manifest{
		Name:           "punchcard",
		Version:        "1.0.0",
		Description:    "Every tenth coffee is free.",
		DecisionKinds:  []sdk.Kind{sdk.KindUpsell},
		EffectKinds:    []sdk.EffectKind{sdk.EffectGrant},
		TimeLimit:      200 * time.Millisecond,
		Policy:         sdk.Optional, // a sale never waits for it
		SettingsSchema: json.RawMessage(settingsSchema),
	}
}

// Plan answers one sale.
func (punchcard) Plan(_ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	set := settings{Category: "coffee", Every: 10, ExpiryDays: 30}
	if err := s.DecodeSettings(&set); err != nil {
		return sdk.Plan{}, err
	}
	if set.Every < 2 {
		return sdk.Plan{}, &sdk.Error{Code: sdk.CodeInvalidSettings, Field: "settings.every", Message: "must be 2 or more"}
	}
	var sale facts
	if err := s.DecodeFacts(&sale); err != nil {
		return sdk.Plan{}, err
	}
	c := card{Category: set.Category, Every: set.Every, Before: max(sale.History.Categories[set.Category].Quantity, 0)}
	price := c.count(sale, set.Category)
	switch {
	case s.CustomerID == "":
		return refuse(sdk.RefusalUnidentified, "No punch: the customer was not identified.", c)
	case c.Now == 0:
		return refuse("nothing_to_count", "No punch: no "+set.Category+" in this sale.", c)
	}
	c.FullCards = (c.Before+c.Now)/set.Every - c.Before/set.Every
	c.Missing = set.Every - (c.Before+c.Now)%set.Every
	if c.FullCards == 0 {
		return refuse("card_not_full", fmt.Sprintf("%d of %d punched: %d more to a free %s.", set.Every-c.Missing, set.Every, c.Missing, set.Category), c)
	}
	c.GiftMinor = min(c.FullCards*price, s.Allowance.MaxGrantMinor)
	if c.GiftMinor <= 0 {
		return refuse("not_allowed", "The card is full, but there is nothing left to give.", c)
	}
	gift := s.Grant("OFFER", c.GiftMinor)
	if set.ExpiryDays > 0 {
		gift.ExpiresAt = s.At.AddDate(0, 0, set.ExpiryDays) // the snapshot's time, never time.Now
	}
	why, err := reason("punchcard.full", "The card is full: "+sdk.Amount(c.GiftMinor, s.Currency)+" for the next "+set.Category+".", c)
	return sdk.Plan{Effects: []sdk.Effect{gift}, Reasoning: why}, err
}

// count adds up what is counted in the sale and returns the price of the
// cheapest one.
func (c *card) count(sale facts, category string) (cheapest int64) {
	for _, l := range sale.Lines {
		if l.Category != category || l.Quantity <= 0 || l.Quantity > 1_000_000 {
			continue
		}
		c.Now += l.Quantity
		if each := l.TotalMinor / l.Quantity; cheapest == 0 || each < cheapest {
			cheapest = each
		}
	}
	return cheapest
}

// refuse says no. A refusal is a decision too, with its reason.
func refuse(word, text string, c card) (sdk.Plan, error) {
	why, err := reason("punchcard."+word, text, c)
	return sdk.Plan{Refusal: word, Reasoning: why}, err
}

func reason(rule, text string, c card) (sdk.Reasoning, error) {
	figures, err := json.Marshal(c)
	return sdk.Reasoning{Summary: text, Rule: rule, Facts: figures}, err
}
