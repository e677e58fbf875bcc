package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
)

// happyhour is the actuator.
type happyhour struct{}

// settings are what a merchant may choose.
type settings struct {
	Zone       string `json:"zone"`
	From       string `json:"from"`  // 15:00
	Until      string `json:"until"` // 17:30; earlier than From means the next day
	InsideBP   int64  `json:"inside_bp"`
	OutsideBP  int64  `json:"outside_bp"`
	ExpiryDays int    `json:"expiry_days"`
}

const settingsSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "zone":        {"type": "string", "minLength": 1, "maxLength": 60, "default": "UTC", "description": "Time zone of the hours, for example Asia/Dubai."},
    "from":        {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "default": "15:00"},
    "until":       {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "default": "17:00"},
    "inside_bp":   {"type": "integer", "minimum": 0, "maximum": 10000, "default": 1500, "description": "Cashback in basis points between the hours."},
    "outside_bp":  {"type": "integer", "minimum": 0, "maximum": 10000, "default": 500},
    "expiry_days": {"type": "integer", "minimum": 0, "maximum": 3650, "default": 90}
  }
}`

// card holds the figures behind a decision.
type card struct {
	LocalTime     string `json:"local_time"`
	Happy         bool   `json:"happy"`
	RateBP        int64  `json:"rate_bp"`
	TotalMinor    int64  `json:"total_minor"`
	CashbackMinor int64  `json:"cashback_minor"`
}

// Describe declares what it is and may do.
func (happyhour) Describe() sdk.Manifest {
	return sdk.Manifest{
		Name: "happyhour", Version: "1.0.0", Description: "More cashback between some hours of the day.",
		DecisionKinds: []sdk.Kind{sdk.KindCashback}, EffectKinds: []sdk.EffectKind{sdk.EffectGrant},
		TimeLimit: 200 * time.Millisecond, Policy: sdk.Optional, SettingsSchema: json.RawMessage(settingsSchema),
	}
}

// Plan answers one sale.
func (happyhour) Plan(_ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	set := settings{Zone: "UTC", From: "15:00", Until: "17:00", InsideBP: 1500, OutsideBP: 500, ExpiryDays: 90}
	if err := s.DecodeSettings(&set); err != nil {
		return sdk.Plan{}, err
	}
	zone, err := time.LoadLocation(set.Zone)
	if err != nil {
		return sdk.Plan{}, &sdk.Error{Code: sdk.CodeInvalidSettings, Field: "settings.zone", Message: "is no time zone; give one such as Asia/Dubai"}
	}
	local := s.At.In(zone).Format("15:04") // hours compare as texts
	c := card{LocalTime: local, Happy: between(local, set.From, set.Until), RateBP: set.OutsideBP, TotalMinor: s.AmountMinor}
	if c.Happy {
		c.RateBP = set.InsideBP
	}
	c.CashbackMinor = min(sdk.BasisPoints(s.AmountMinor, c.RateBP), s.Allowance.MaxGrantMinor)
	switch {
	case s.CustomerID == "":
		return refuse(sdk.RefusalUnidentified, "No cashback: the customer was not identified.", c)
	case c.CashbackMinor <= 0:
		return refuse("cashback_zero", "No cashback: it rounds down to nothing.", c)
	}
	grant := s.Grant("CASHBACK", c.CashbackMinor)
	if set.ExpiryDays > 0 {
		grant.ExpiresAt = s.At.AddDate(0, 0, set.ExpiryDays)
	}
	text := fmt.Sprintf("Cashback of %s.", sdk.Amount(c.CashbackMinor, s.Currency))
	if c.Happy {
		text = fmt.Sprintf("Happy hour until %s: cashback of %s.", set.Until, sdk.Amount(c.CashbackMinor, s.Currency))
	}
	why, err := reason("happyhour.cashback", text, c)
	return sdk.Plan{Effects: []sdk.Effect{grant}, Reasoning: why}, err
}

// between reports whether a time of the day lies in a window that may pass
// midnight. The end is not in it.
func between(at, from, until string) bool {
	if from <= until {
		return from <= at && at < until
	}
	return at >= from || at < until
}

func refuse(word, text string, c card) (sdk.Plan, error) {
	why, err := reason("happyhour."+word, text, c)
	return sdk.Plan{Refusal: word, Reasoning: why}, err
}

func reason(rule, text string, c card) (sdk.Reasoning, error) {
	figures, err := json.Marshal(c)
	return sdk.Reasoning{Summary: text, Rule: rule, Facts: figures}, err
}
