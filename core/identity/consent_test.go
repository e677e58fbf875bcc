package identity_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

func act(at int, purpose identity.Purpose, channel string, state identity.ConsentState) identity.Consent {
	when := time.Unix(int64(at), 0).UTC()
	return identity.Consent{Purpose: purpose, Channel: channel, State: state, OccurredAt: when, RecordedAt: when}
}

func TestTheLatestActOfAPurposeAndChannelHolds(t *testing.T) {
	t.Parallel()
	const yes, no = identity.ConsentGranted, identity.ConsentWithdrawn
	for name, c := range map[string]struct {
		acts     identity.ConsentActs
		sms, any bool
	}{
		"nobody asked":                  {nil, false, false},
		"agreed to all":                 {identity.ConsentActs{act(1, identity.ForMarketing, "", yes)}, true, true},
		"agreed to one":                 {identity.ConsentActs{act(1, identity.ForMarketing, "sms", yes)}, true, false},
		"agreed to another":             {identity.ConsentActs{act(1, identity.ForMarketing, "email", yes)}, false, false},
		"to another purpose":            {identity.ConsentActs{act(1, identity.ForReceipts, "", yes)}, false, false},
		"all, then one withdrawn":       {identity.ConsentActs{act(1, identity.ForMarketing, "", yes), act(2, identity.ForMarketing, "sms", no)}, false, true},
		"one, then all withdrawn":       {identity.ConsentActs{act(1, identity.ForMarketing, "sms", yes), act(2, identity.ForMarketing, "", no)}, false, false},
		"withdrawn, then agreed again":  {identity.ConsentActs{act(1, identity.ForMarketing, "", no), act(2, identity.ForMarketing, "", yes)}, true, true},
		"recorded late, happened early": {identity.ConsentActs{act(2, identity.ForMarketing, "", yes), act(1, identity.ForMarketing, "", no)}, true, true},
	} {
		if got := c.acts.Allow(identity.ForMarketing, "sms"); got != c.sms {
			t.Errorf("%s: sms %v", name, got)
		}
		if got := c.acts.Allow(identity.ForMarketing, ""); got != c.any {
			t.Errorf("%s: every channel %v", name, got)
		}
	}
}

func TestTheOrderOfActsInTheListDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "n")
		acts := make(identity.ConsentActs, n)
		for i := range acts {
			acts[i] = act(i, rapid.SampledFrom([]identity.Purpose{identity.ForTerms, identity.ForMarketing}).Draw(t, "purpose"),
				rapid.SampledFrom([]string{"", "sms", "email"}).Draw(t, "channel"),
				rapid.SampledFrom([]identity.ConsentState{identity.ConsentGranted, identity.ConsentWithdrawn}).Draw(t, "state"))
		}
		shuffled := rapid.Permutation([]identity.Consent(acts)).Draw(t, "order")
		for _, channel := range []string{"", "sms", "email"} {
			allowed := acts.Allow(identity.ForMarketing, channel)
			if identity.ConsentActs(shuffled).Allow(identity.ForMarketing, channel) != allowed {
				t.Fatal("the order of the list decides")
			}
			if err := acts.Require(identity.ForMarketing, channel, "f"); (err == nil) != allowed || err != nil && !fault.Is(err, fault.CodeConsentRequired) {
				t.Fatalf("allowed %v, required %v", allowed, err)
			}
		}
	})
}

func TestPreferencesChangeOnlyWhatIsNamed(t *testing.T) {
	t.Parallel()
	now := time.Unix(9, 0).UTC()
	p := identity.Preferences{Language: "en", Channels: map[string]bool{"sms": true}, Version: 4, OptOut: identity.OptOut{All: true}, ReceiptChannel: "sms"}
	next, err := p.Change(identity.PreferenceChange{Channels: map[string]bool{"sms": false}}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if next.Channels["sms"] || !p.Channels["sms"] || next.Language != "en" || !next.OptOut.All || next.ReceiptChannel != "sms" || next.Version != 5 || !next.UpdatedAt.Equal(now) {
		t.Errorf("changed to %+v from %+v", next, p)
	}
}
