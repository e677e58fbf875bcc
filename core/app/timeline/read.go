package timeline

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout/sessions"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/offers"
)

// maxEvents bounds what is read of the log for one session. Every other source
// of a timeline is bounded by what a session takes.
const maxEvents = 10_000

// Types of entries that are no events.
const (
	offerNotShown = "offer_not_shown"
	offerNotTaken = "offer_not_taken"
)

// Entry is one thing that happened in a session, or could have and did not.
type Entry struct {
	// Sequence counts the entries of a session from 1, without gaps.
	Sequence       int
	Type           string
	Happened       bool
	Summary        string // words a cashier can read
	At             time.Time
	EventID        string // empty for counterfactuals, debits and offers, which have records of their own
	DecisionID     string
	TraceID        string
	OfferID        string
	PaymentID      string
	BasketRevision int64
	Data           json.RawMessage // a JSON object of ids and figures

	// key tells entries of a session apart.
	key string
	// not is the counterfactual that it shows, nil where it happened.
	not *decision.Counterfactual
	// rank orders entries of the same time.
	rank int
}

// Ranks of entries of the same time: events in the order of the log, what has a
// record of its own, the session's end, and what that decides did not happen.
const (
	rankEvent = iota
	rankRecord
	rankEnd
	rankNot
)

// ReadInput names the session.
type ReadInput struct {
	SessionID string
	// Happened leaves counterfactuals out.
	Happened bool
	Limit    int // 1 to 200; 0 for 50
	Cursor   string
}

// Page is one page of a timeline, oldest first.
type Page struct {
	SessionID string
	Entries   []Entry
	Next      string // empty on the last page
}

// Read gives the history of a session in any state, oldest first. Errors:
// NOT_FOUND, CURSOR_INVALID.
func (s *Service) Read(ctx context.Context, call *app.Call, in ReadInput) (Page, error) {
	st := s.UoW.Read()
	session, err := sessions.Read(ctx, st, call, in.SessionID)
	if err != nil {
		return Page{}, err
	}
	name := "timeline:" + in.SessionID + ":" + strconv.FormatBool(in.Happened)
	end, err := paging.Open(name, in.Cursor)
	if err != nil {
		return Page{}, err
	}
	h, err := s.gather(ctx, st, session)
	if err != nil {
		return Page{}, err
	}
	all := h.entries(in.Happened)
	size := paging.Size(in.Limit)
	rest := all[begin(all, end):]
	page := Page{SessionID: session.ID}
	page.Entries, page.Next = paging.Cut(rest, size, name, func(e Entry) paging.Mark { return paging.Mark{At: e.At, ID: e.key} })
	page.Entries = slices.Clone(page.Entries)
	return page, s.tellWhy(ctx, st, session, page.Entries)
}

// begin is where the page after end begins. The entry that it ended with is
// there still, whatever came before it meanwhile.
func begin(all []Entry, end paging.Mark) int {
	if end.ID == "" {
		return 0
	}
	if i := slices.IndexFunc(all, func(e Entry) bool { return e.key == end.ID }); i >= 0 {
		return i + 1
	}
	i, _ := slices.BinarySearchFunc(all, end.At, func(e Entry, at time.Time) int { // it was an offer that has been taken since
		if e.At.After(at) {
			return 1
		}
		return -1
	})
	return i
}

// history is what a timeline is made from.
type history struct {
	session   checkout.Session
	now       time.Time
	till      string // the name of the terminal, where it has one
	log       []event.Event
	apps      []offers.Application
	seen      map[string]checkout.TillEvent // by event id
	decisions []decision.Decision
	not       []decision.Counterfactual
}

func (s *Service) gather(ctx context.Context, st app.Stores, session checkout.Session) (h history, err error) {
	h = history{session: session, now: s.Clock.Now(), seen: map[string]checkout.TillEvent{}}
	subjects, err := st.Ledger.MovementsOfSession(ctx, session.Tenant, session.ID)
	if err != nil {
		return h, err
	}
	if h.log, err = st.Events.About(ctx, session.Tenant, append(subjects, session.ID), maxEvents); err != nil {
		return h, err
	}
	if h.apps, err = st.Offers.Applications(ctx, session.Tenant, session.ID); err != nil {
		return h, err
	}
	recorded, err := st.Checkout.TillEvents(ctx, session.Tenant, session.ID)
	if err != nil {
		return h, err
	}
	for _, e := range recorded {
		h.seen[e.ID] = e
	}
	if h.decisions, err = st.Decisions.BySession(ctx, session.Tenant, session.ID); err != nil {
		return h, err
	}
	if h.not, err = st.Decisions.Counterfactuals(ctx, session.Tenant, session.ID); err != nil {
		return h, err
	}
	if session.TerminalID != "" {
		if t, err := s.Directory.Terminal(ctx, session.Tenant, session.TerminalID); err == nil { // else it has no name
			h.till = t.Name
		}
	}
	return h, nil
}

// entries puts everything in order: by time, then by rank, then as it was found.
func (h history) entries(happened bool) []Entry {
	var all []Entry
	for _, e := range h.log {
		all = append(all, h.of(e)...)
	}
	all = append(all, h.debits()...)
	all = append(all, h.offers()...)
	if !happened {
		all = append(all, h.counterfactuals()...)
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.rank, b.rank)) })
	revision := int64(0)
	for i := range all {
		e := &all[i]
		e.Sequence = i + 1
		revision = max(revision, e.BasketRevision)
		e.BasketRevision = revision
	}
	return all
}

// facts are the members of events' data that entries show as their own.
type facts struct {
	TraceID        string `json:"decision_trace_id"`
	OfferID        string `json:"offer_id"`
	PaymentID      string `json:"payment_id"`
	BasketRevision int64  `json:"basket_revision"`
	Decisions      []struct {
		ID string `json:"decision_id"`
	} `json:"decisions"`
}

// of are the entries of one event: one, or one for each decision that it tells of.
func (h history) of(e event.Event) []Entry {
	var f facts
	_ = json.Unmarshal(e.Data, &f) // what another version of us wrote has fewer facts
	entry := Entry{
		Type: e.Type, Happened: true, At: e.At, EventID: e.ID, TraceID: e.TraceID, OfferID: f.OfferID, PaymentID: f.PaymentID,
		BasketRevision: f.BasketRevision, Data: e.Data, key: e.ID,
	}
	if entry.TraceID == "" {
		entry.TraceID = f.TraceID
	}
	if seen, ok := h.seen[e.ID]; ok {
		entry.Type, entry.At, entry.Data = string(seen.Type), seen.OccurredAt, tillData(seen)
		entry.Summary = summaryOfTill(seen)
		return []Entry{entry}
	}
	if len(f.Decisions) > 0 {
		return h.taken(entry, f)
	}
	if e.Type == "checkout.session.closed" || e.Type == "checkout.session.abandoned" {
		entry.rank = rankEnd
	}
	entry.Summary = h.summary(e)
	return []Entry{entry}
}

// taken are the decisions that one event tells of.
func (h history) taken(entry Entry, f facts) (out []Entry) {
	for _, made := range f.Decisions {
		i := slices.IndexFunc(h.decisions, func(d decision.Decision) bool { return d.ID == made.ID })
		if i < 0 {
			continue
		}
		one, d := entry, h.decisions[i]
		one.DecisionID, one.OfferID, one.Summary, one.Data, one.key = d.ID, d.OfferID, d.Card.Summary, object(d.Card.Facts), entry.key+"/"+d.ID
		out = append(out, one)
	}
	return out
}

// debits are the payments that debited the wallet, and those that were declined
// for short funds, as they were decided.
func (h history) debits() (out []Entry) {
	for _, d := range h.decisions {
		e := Entry{
			Happened: true, At: d.At, DecisionID: d.ID, TraceID: d.TraceID, Data: object(d.Card.Facts), key: d.ID, rank: rankRecord,
		}
		amount := money.Text(d.AmountMinor, h.session.Currency)
		switch actuation.Kind(d.Kind) {
		case actuation.KindWalletDebit:
			e.Type, e.PaymentID, e.Summary = ledger.EventPaymentSucceeded, ledger.PaymentOfTrace(d.TraceID), "Wallet debited: "+amount
		case actuation.KindRecovery:
			e.Type, e.Summary = ledger.EventPaymentFailed, "Payment of "+amount+" declined for insufficient funds, nothing debited"
		default:
			continue // events tell of it
		}
		out = append(out, e)
	}
	return out
}

// offers are what became of the offers that the session took.
func (h history) offers() (out []Entry) {
	for _, a := range h.apps {
		tell := func(kind, summary string, at *time.Time) {
			if at == nil {
				return
			}
			out = append(out, Entry{
				Type: kind, Happened: true, Summary: a.Title + " " + summary, At: *at, TraceID: a.TraceID, OfferID: a.OfferID,
				Data: encode(map[string]any{
					"application_id": a.ID, "offer_version": a.Version, "discount_minor": a.DiscountMinor, "value_minor": a.ValueMinor,
					"currency": a.Currency,
				}),
				key: a.ID + "/" + kind, rank: rankRecord,
			})
		}
		tell("offer.applied", "was applied", &a.AppliedAt)
		tell("offer.redeemed", "was redeemed", a.RedeemedAt)
		tell("offer.released", "was given back: "+words(a.ReleaseReason), a.ReleasedAt)
	}
	return out
}

// counterfactuals are the offers that were judged and withheld, and those that
// were shown and not taken: because the customer declined, or the session ended.
func (h history) counterfactuals() (out []Entry) {
	ended := h.ended()
	for i := range h.not {
		c := &h.not[i]
		e := Entry{TraceID: c.TraceID, OfferID: c.OfferID, At: c.At, not: c, key: c.TraceID + "/" + c.OfferID, DecisionID: h.proposal(c), rank: rankNot}
		switch {
		case c.Outcome == "withheld":
			e.Type = offerNotShown
		case c.Outcome != "shown" && c.Outcome != "not_taken":
			continue // it was taken
		case c.DeclinedAt != nil:
			e.Type, e.At = offerNotTaken, *c.DeclinedAt
		case ended != nil:
			e.Type, e.At = offerNotTaken, *ended
		default:
			continue // it may be taken still
		}
		out = append(out, e)
	}
	return out
}

// ended is when the session ended; nil while it is live.
func (h history) ended() *time.Time {
	if h.session.EndedAt != nil || h.session.Live(h.now) == nil {
		return h.session.EndedAt
	}
	return &h.session.ExpiresAt // nobody swept it yet
}

// proposal is the decision to show an offer.
func (h history) proposal(c *decision.Counterfactual) string {
	for i := range h.decisions {
		if d := &h.decisions[i]; d.TraceID == c.TraceID && d.OfferID == c.OfferID {
			return d.ID
		}
	}
	return ""
}

// tellWhy completes the counterfactuals of a page from the feeds that judged
// them: what the offer is called, where it ranked, why it was withheld.
func (s *Service) tellWhy(ctx context.Context, st app.Stores, session checkout.Session, page []Entry) error {
	feeds := map[string]offers.Feed{}
	for i := range page {
		e := &page[i]
		if e.not == nil {
			continue
		}
		feed, known := feeds[e.TraceID]
		if !known {
			trace, err := st.Decisions.Trace(ctx, session.Tenant, e.TraceID)
			if err != nil {
				return err
			}
			_ = json.Unmarshal(trace.Outputs, &feed) // no feed: it keeps to what the row says
			feeds[e.TraceID] = feed
		}
		e.explain(feed)
	}
	return nil
}
