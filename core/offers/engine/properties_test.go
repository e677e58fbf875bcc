package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// verdicts reduces a feed to what the plain scan can say.
func verdicts(f offers.Feed) (shown, withheld []verdict) {
	for _, o := range f.Offers {
		shown = append(shown, verdict{ID: o.OfferID, Amount: o.Value.AmountMinor, Points: o.Value.Points})
	}
	for _, w := range f.Withheld {
		withheld = append(withheld, verdict{ID: w.OfferID, Reason: w.Reason})
	}
	return shown, withheld
}

// TestIndexEqualsScan holds that the indexed engine decides what a scan of
// every offer decides, in the same order.
func TestIndexEqualsScan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawOffers(t, 12)
		f := drawFacts(t, all)
		wantShown, wantWithheld := scan(all, f)
		gotShown, gotWithheld := verdicts(engine.New(1, all, tiny{}).Evaluate(context.Background(), f))
		if !slices.Equal(gotShown, wantShown) {
			t.Fatalf("shown\n got %v\nwant %v", gotShown, wantShown)
		}
		if !slices.Equal(gotWithheld, wantWithheld) {
			t.Fatalf("withheld\n got %v\nwant %v", gotWithheld, wantWithheld)
		}
	})
}

// TestChangedCatalogueEqualsFresh holds that a catalogue that took changes in
// steps decides as one that is built at once.
func TestChangedCatalogueEqualsFresh(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before, after := drawOffers(t, 8), drawOffers(t, 8)
		f := drawFacts(t, after)
		stepped := engine.New(1, before, tiny{})
		for i := range after {
			stepped = stepped.With(int64(2+i), after[i:i+1])
		}
		fresh := slices.Clone(after)
		if len(before) > len(after) {
			fresh = append(fresh, before[len(after):]...)
		}
		want := outputs(t, engine.New(9, fresh, tiny{}).Evaluate(context.Background(), f))
		if got := outputs(t, stepped.Evaluate(context.Background(), f)); !bytes.Equal(got, want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

// TestReplay holds that stored inputs and the candidates' versions alone give
// the stored outputs, byte for byte, also after other evaluations went through
// the same pooled memory.
func TestReplay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawOffers(t, 12)
		f := drawFacts(t, all)
		c := engine.New(7, all, tiny{})
		want := outputs(t, c.Evaluate(context.Background(), f))
		stored, err := json.Marshal(engine.Inputs{
			Engine: engine.Version, Rules: "tiny/1", CatalogueVersion: 7, Facts: *f, Offers: c.Candidates(f),
		})
		if err != nil {
			t.Fatal(err)
		}
		outputs(t, c.Evaluate(context.Background(), drawFacts(t, all)))
		var in engine.Inputs
		if err := json.Unmarshal(stored, &in); err != nil {
			t.Fatal(err)
		}
		got, err := engine.Replay(context.Background(), in, all, tiny{})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

// TestReplayRefuses holds that a trace of another engine, or one whose
// versions are gone, is not replayed as if it were fine.
func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]engine.Inputs{
		"another engine": {Engine: "offers/0", Rules: "tiny/1"},
		"other rules":    {Engine: engine.Version, Rules: "tiny/0"},
		"a version lost": {Engine: engine.Version, Rules: "tiny/1", Offers: []offers.Ref{{OfferID: "off_1", Version: 1}}},
	} {
		if _, err := engine.Replay(t.Context(), in, nil, tiny{}); err == nil {
			t.Errorf("%s: replayed", name)
		}
	}
}

// TestFeedInvariants holds what must be true of any feed.
func TestFeedInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawOffers(t, 12)
		f := drawFacts(t, all)
		feed := engine.New(1, all, tiny{}).Evaluate(context.Background(), f)
		for i, o := range feed.Offers {
			if o.Rank != i+1 {
				t.Fatalf("rank %d at place %d", o.Rank, i)
			}
			sum := int64(0)
			for _, s := range o.AppliesTo {
				if s.DiscountMinor < 0 {
					t.Fatalf("a negative share: %+v", o)
				}
				sum += s.DiscountMinor
			}
			held := slices.ContainsFunc(f.Held, func(h offers.Held) bool { return h.OfferID == o.OfferID })
			if len(o.AppliesTo) > 0 && sum != o.Value.AmountMinor {
				t.Fatalf("shares add up to %d of %d", sum, o.Value.AmountMinor)
			}
			if !held && o.Value.Type.Discounts() && o.Value.AmountMinor > f.Total {
				t.Fatalf("%d off a basket of %d", o.Value.AmountMinor, f.Total)
			}
			readable(t, o.Card.Summary, o.Card.Rule, o.Card.Facts)
		}
		for _, w := range feed.Withheld {
			readable(t, w.Card.Summary, w.Card.Rule, w.Card.Facts)
		}
	})
}

func readable(t *rapid.T, summary, rule string, facts json.RawMessage) {
	var object map[string]any
	if err := json.Unmarshal(facts, &object); err != nil {
		t.Fatalf("facts %s: %v", facts, err)
	}
	if len(summary) < 10 || summary[len(summary)-1] != '.' || rule == "" {
		t.Fatalf("no card for a cashier: %q, %q", summary, rule)
	}
}

// TestJudgeAgreesWithFeed holds that an offer asked for by name gets the
// verdict of the feed, where nothing of its own is held and no rival of its
// group is about.
func TestJudgeAgreesWithFeed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawOffers(t, 1)
		f := drawFacts(t, all)
		f.Held = nil
		if len(all) == 0 || all[0].Status != offers.Active {
			return
		}
		shown, withheld := engine.Judge(context.Background(), all[0], tiny{}, f, engine.Ask{})
		feed := engine.New(1, all, tiny{}).Evaluate(context.Background(), f)
		switch {
		case shown != nil && (len(feed.Offers) != 1 || feed.Offers[0].Value != shown.Value):
			t.Fatalf("judged %+v, feed %+v", shown, feed)
		case withheld != nil && len(feed.Withheld) == 1 && feed.Withheld[0].Reason != withheld.Reason:
			t.Fatalf("judged %s, feed %s", withheld.Reason, feed.Withheld[0].Reason)
		case withheld != nil && len(feed.Withheld) == 0 && (len(feed.Offers) != 0 || withheld.Reason != offers.NoMatchingLines):
			t.Fatalf("judged %s, feed %+v", withheld.Reason, feed)
		}
	})
}

func outputs(t interface{ Fatal(...any) }, f offers.Feed) []byte {
	raw, err := f.Outputs()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
