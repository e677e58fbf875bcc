package identity

import (
	"maps"
	"slices"
)

// SignalState is what became of a signal.
type SignalState string

// The states of signals.
const (
	SignalKnown     SignalState = "known"     // leads to one customer
	SignalColliding SignalState = "colliding" // leads to several, and so to none (rule 5)
	SignalUnknown   SignalState = "unknown"   // leads to nobody here
	SignalExpired   SignalState = "expired"   // a code past its time
	SignalUsed      SignalState = "used"      // a code that has paid
)

// Signal is what one credential says about who somebody is. It holds ids only:
// a trace keeps it.
type Signal struct {
	Type  CredentialType `json:"credential_type"`
	State SignalState    `json:"state"`
	// CustomerIDs are whom it leads to: one where it is known, two of them where
	// it collides.
	CustomerIDs []string `json:"customer_ids"`
	// Proven is false where the customer's phone is not verified yet.
	Proven bool `json:"proven"`
}

// What a signal counts for, in basis points.
const (
	certain          = 10_000
	weightPhone      = 10_000 // verified
	weightCode       = 10_000 // minted by Feddi for the customer (rule 6)
	weightProvider   = 9_000
	weightCard       = 7_000 // of a verified customer; masked numbers are not unique
	weightUnproven   = 6_000 // a phone that nobody proved yet
	weightProbation  = 3_000 // a link on probation (rule 4)
	penaltyColliding = 1_000
)

// Weight is how much the signal counts, in basis points; 0 where it leads to
// no one customer.
func (s Signal) Weight() int {
	if s.State != SignalKnown {
		return 0
	}
	switch {
	case s.Type == QR || s.Type == ShortCode:
		return weightCode
	case s.weak():
		return weightProbation
	case s.Type == Phone && !s.Proven:
		return weightUnproven
	case s.Type == Phone:
		return weightPhone
	case s.Type == ProviderCustomerID:
		return weightProvider
	}
	return weightCard
}

// weak reports whether the signal is a link on probation (rule 4): alone it may
// say who somebody is; against others it says nothing.
func (s Signal) weak() bool {
	return !s.Proven && (s.Type == CardFingerprint || s.Type == Card)
}

// VerdictStatus is what signals together came to.
type VerdictStatus string

// The verdicts.
const (
	VerdictResolved VerdictStatus = "resolved"
	VerdictConflict VerdictStatus = "conflict"
	VerdictNotFound VerdictStatus = "not_found"
)

// Verdict is what signals together say. CustomerID is empty and ConfidenceBP 0
// unless Status is resolved.
type Verdict struct {
	Status       VerdictStatus `json:"status"`
	CustomerID   string        `json:"customer_id"`
	ConfidenceBP int           `json:"confidence_bp"` // 10000 is certain
	// Probationary is true where only links on probation lead to the customer.
	Probationary bool `json:"probationary"`
	// Conflicting tells of each signal, in order, whether it goes against the answer.
	Conflicting []bool `json:"conflicting"`
	Rule        string `json:"rule"`
	Summary     string `json:"summary"`
}

// Weigh decides who signals lead to. All signals that are not on probation have
// to agree; where they do not, or where only links on probation speak and
// disagree, the verdict is a conflict: it is never guessed at. A link on
// probation or a colliding one lowers the confidence and never outweighs
// another signal (rules 4 and 5).
func Weigh(signals []Signal) Verdict {
	v := Verdict{Status: VerdictNotFound, Conflicting: make([]bool, len(signals))}
	led := leads(signals, false)
	v.Probationary = len(led) == 0
	if v.Probationary {
		led = leads(signals, true)
	}
	switch len(led) {
	case 0:
		return v.nobody(signals)
	case 1:
		v.Status, v.CustomerID = VerdictResolved, led[0]
	default:
		v.Probationary = false
		return v.conflict(signals)
	}
	v.ConfidenceBP = v.confidence(signals)
	v.explain(signals)
	return v
}

// leads lists whom the known signals lead to, those on probation or the others.
func leads(signals []Signal, weak bool) []string {
	var led []string
	for _, s := range signals {
		if s.State == SignalKnown && s.weak() == weak && !slices.Contains(led, s.CustomerIDs[0]) {
			led = append(led, s.CustomerIDs[0])
		}
	}
	return led
}

func (v Verdict) nobody(signals []Signal) Verdict {
	v.Probationary = false
	v.Rule, v.Summary = "identity.unknown", "No signal leads to a customer of this merchant"
	for _, s := range signals {
		if s.State == SignalColliding {
			v.Status, v.Rule, v.Summary = VerdictConflict, "identity.colliding", "What was given leads to several customers; ask for the phone"
		}
	}
	for i, s := range signals {
		v.Conflicting[i] = s.State == SignalColliding
	}
	return v
}

func (v Verdict) conflict(signals []Signal) Verdict {
	v.Status, v.Rule, v.Summary = VerdictConflict, "identity.signals_disagree", "The signals lead to different customers; ask for the phone and have it verified"
	for i, s := range signals {
		v.Conflicting[i] = s.State == SignalKnown || s.State == SignalColliding
	}
	return v
}

// confidence combines what agrees, each type counted once, and takes away for
// what does not. It never reaches certainty where something disagrees.
func (v *Verdict) confidence(signals []Signal) int {
	agreed := map[CredentialType]int{}
	kept := certain // what speaking against leaves
	for i, s := range signals {
		switch {
		case s.State == SignalColliding:
			kept = kept * (certain - penaltyColliding) / certain
			v.Conflicting[i] = !slices.Contains(s.CustomerIDs, v.CustomerID)
		case s.State != SignalKnown:
		case s.CustomerIDs[0] == v.CustomerID:
			agreed[s.Type] = max(agreed[s.Type], s.Weight())
		default:
			v.Conflicting[i] = true
			kept = kept * (certain - s.Weight()/2) / certain
		}
	}
	doubt := certain
	for _, t := range slices.Sorted(maps.Keys(agreed)) {
		doubt = doubt * (certain - agreed[t]) / certain
	}
	return max((certain-doubt)*kept/certain, 1)
}

func (v *Verdict) explain(signals []Signal) {
	strongest := Signal{}
	for _, s := range signals {
		if s.State == SignalKnown && s.CustomerIDs[0] == v.CustomerID && (strongest.Type == "" || s.Weight() > strongest.Weight()) {
			strongest = s
		}
	}
	switch {
	case v.Probationary:
		v.Rule, v.Summary = "identity.probationary_link", "Only a link on probation leads to this customer; it earns and never pays"
	case strongest.Type == Phone && strongest.Proven:
		v.Rule, v.Summary = "identity.verified_phone", "The phone is verified and belongs to one customer"
	case strongest.Type == Phone:
		v.Rule, v.Summary = "identity.unproven_phone", "The phone belongs to one customer, who has not proven it yet"
	case strongest.Type == QR || strongest.Type == ShortCode:
		v.Rule, v.Summary = "identity.minted_code", "The code was minted for this customer"
	default:
		v.Rule, v.Summary = "identity.proven_link", "A proven link leads to one customer"
	}
	if slices.Contains(v.Conflicting, true) {
		v.Summary += "; a weaker signal says otherwise"
	}
}
