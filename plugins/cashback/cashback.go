// Package cashback is the first-party actuator that gives a share of every
// identified sale back as promotional credit, whatever it was paid with
// (rule 27 of the contract).
package cashback

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
)

// Source is the source of the grants it issues.
const Source = "CASHBACK"

// Refusals.
const (
	RefusalOff        = "cashback_off"     // the merchant gives none
	RefusalTooSmall   = "cashback_zero"    // the share rounds down to nothing
	RefusalNotAllowed = "cashback_limited" // the decision's allowance or budget is used up
)

// maxExpiryDays is the furthest expiry that the core accepts, roughly.
const maxExpiryDays = 3650

// Cashback is the actuator. The zero value is ready for use.
type Cashback struct{}

// settings are the merchant's choices, members of the settings object; others
// are ignored.
type settings struct {
	CashbackBP         int64 `json:"cashback_bp"`          // basis points of the total, 0 to 10000
	CashbackExpiryDays int   `json:"cashback_expiry_days"` // 0 means never
}

// card holds the figures behind a plan.
type card struct {
	TotalMinor    int64  `json:"total_minor"`
	CashbackBP    int64  `json:"cashback_bp"`
	EarnedMinor   int64  `json:"earned_minor"`
	CashbackMinor int64  `json:"cashback_minor"`
	BudgetID      string `json:"budget_id,omitempty"`
	ExpiresAt     string `json:"expires_at,omitempty"`
}

// Describe implements sdk.Actuator.
func (Cashback) Describe() sdk.Manifest {
	return sdk.Manifest{
		Name: "cashback", Version: "1.0.0",
		DecisionKinds: []sdk.Kind{sdk.KindCashback},
		EffectKinds:   []sdk.EffectKind{sdk.EffectGrant},
		TimeLimit:     500 * time.Millisecond,
		Policy:        sdk.Optional,
		Description:   "Gives a share of every identified sale back as promotional credit, whatever it was paid with.",
	}
}

// Plan implements sdk.Actuator: floor(total * basis points / 10000), within the
// decision's allowance and the first of its budgets.
func (Cashback) Plan(_ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	var set settings
	if err := s.DecodeSettings(&set); err != nil {
		return sdk.Plan{}, err
	}
	if err := set.check(); err != nil {
		return sdk.Plan{}, err
	}
	c := card{TotalMinor: s.AmountMinor, CashbackBP: set.CashbackBP, EarnedMinor: sdk.BasisPoints(s.AmountMinor, set.CashbackBP)}
	switch {
	case s.CustomerID == "":
		return refuse(sdk.RefusalUnidentified, "No cashback: the customer was not identified.", c)
	case set.CashbackBP == 0:
		return refuse(RefusalOff, "No cashback: this merchant does not give any.", c)
	case c.EarnedMinor == 0:
		return refuse(RefusalTooSmall, "No cashback: "+percent(set.CashbackBP)+" of "+sdk.Amount(s.AmountMinor, s.Currency)+" rounds down to nothing.", c)
	}
	return give(s, set, c)
}

func (set settings) check() error {
	switch {
	case set.CashbackBP < 0 || set.CashbackBP > 10_000:
		return &sdk.Error{Code: sdk.CodeInvalidSettings, Field: "settings.cashback_bp", Message: "must be 0 to 10000 basis points; correct the merchant's settings"}
	case set.CashbackExpiryDays < 0 || set.CashbackExpiryDays > maxExpiryDays:
		return &sdk.Error{Code: sdk.CodeInvalidSettings, Field: "settings.cashback_expiry_days", Message: "must be 0 (never) to 3650 days; correct the merchant's settings"}
	}
	return nil
}

// give is the plan of a cashback that was earned.
func give(s sdk.Snapshot, set settings, c card) (sdk.Plan, error) {
	c.CashbackMinor = min(c.EarnedMinor, s.Allowance.MaxGrantMinor)
	if len(s.Allowance.Budgets) > 0 {
		c.BudgetID = s.Allowance.Budgets[0].BudgetID
		c.CashbackMinor = min(c.CashbackMinor, s.Allowance.Budgets[0].RemainingMinor)
	}
	earned := percent(set.CashbackBP) + " of " + sdk.Amount(s.AmountMinor, s.Currency)
	if c.CashbackMinor <= 0 {
		c.CashbackMinor = 0
		return refuse(RefusalNotAllowed, "No cashback: "+earned+" was earned, but the budget for it is used up.", c)
	}
	grant := s.Grant(Source, c.CashbackMinor)
	grant.BudgetID = c.BudgetID
	text := "Cashback of " + sdk.Amount(c.CashbackMinor, s.Currency) + ": " + earned
	if c.CashbackMinor < c.EarnedMinor {
		text += ", cut to what the budget still has"
	}
	if set.CashbackExpiryDays > 0 {
		grant.ExpiresAt = s.At.AddDate(0, 0, set.CashbackExpiryDays)
		c.ExpiresAt = grant.ExpiresAt.UTC().Format(time.RFC3339)
		text += ", to spend within " + days(set.CashbackExpiryDays)
	}
	reasoning, err := reason(text+".", "cashback.share_of_total", c)
	return sdk.Plan{SnapshotID: s.ID, Effects: []sdk.Effect{grant}, Reasoning: reasoning}, err
}

func refuse(refusal, text string, c card) (sdk.Plan, error) {
	reasoning, err := reason(text, "cashback."+refusal, c)
	return sdk.Plan{Refusal: refusal, Reasoning: reasoning}, err
}

func reason(text, rule string, c card) (sdk.Reasoning, error) {
	facts, err := json.Marshal(c)
	return sdk.Reasoning{Summary: text, Rule: rule, Facts: facts}, err
}

func days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

// percent writes basis points for people: 500 is "5%", 250 is "2.5%".
func percent(bp int64) string {
	switch {
	case bp%100 == 0:
		return fmt.Sprintf("%d%%", bp/100)
	case bp%10 == 0:
		return fmt.Sprintf("%d.%d%%", bp/100, bp%100/10)
	default:
		return fmt.Sprintf("%d.%02d%%", bp/100, bp%100)
	}
}
