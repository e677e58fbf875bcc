package terminals

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/lru"
	"github.com/feddi/feddi/core/tenancy"
)

const (
	// revisionsAge is how long a tenant's revisions are used before they are
	// read again, so that a thousand tills of one merchant cost one query a second.
	revisionsAge = time.Second
	// maxTenants bounds how many tenants' revisions are kept; some 300 bytes each.
	maxTenants = 10_000
	// maxOpen is how many open sessions a heartbeat tells of.
	maxOpen = 20
)

// HeartbeatInput is what a till reports.
type HeartbeatInput struct {
	SoftwareVersion string
	// StateToken is that of the last answer; empty where there is none.
	StateToken string
	// TerminalTime is what the till's clock says; nil where it does not tell.
	TerminalTime *time.Time
}

// Report is what a till is told.
type Report struct {
	Terminal View
	// Changed is what it should read again.
	Changed    []tenancy.TillSubject
	StateToken string
	// OpenSessions are the ids of those that are open at it, latest first, at most 20.
	OpenSessions []string
	Degraded     []string
	At           time.Time
	// Skew is how far the till's clock is ahead; nil where it did not tell.
	Skew *time.Duration
	Next time.Duration
}

// Heartbeat takes the report of the calling terminal. It writes nothing but the
// pinned answer: that the terminal was seen is written later, with others.
func (s *Service) Heartbeat(ctx context.Context, call *app.Call, in HeartbeatInput) (Report, error) {
	now := s.Clock.Now()
	terminal, err := s.Directory.Terminal(ctx, call.Tenant, call.Actor.TerminalID)
	if err != nil {
		return Report{}, err
	}
	has, err := s.state(ctx, call.Tenant, now)
	if err != nil {
		return Report{}, err
	}
	terminal.SoftwareVersion, terminal.LastSeenAt = in.SoftwareVersion, &now
	report := Report{
		Terminal: View{terminal, terminal.StateAt(now)}, Changed: has.since(in.StateToken), StateToken: has.token(),
		Degraded: s.Degraded(), At: now, Next: tenancy.HeartbeatEvery,
	}
	if in.TerminalTime != nil {
		skew := in.TerminalTime.Sub(now)
		report.Skew = &skew
	}
	report, err = app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Report, error) {
		out := report
		var err error
		out.OpenSessions, err = st.Checkout.OpenAt(ctx, call.Tenant, terminal.ID, now, maxOpen)
		return out, err
	})
	if err == nil {
		s.note(terminal.ID, tenancy.Heartbeat{At: now, SoftwareVersion: in.SoftwareVersion})
	}
	return report, err
}

// tillState is what a till of a merchant has when it has read everything.
type tillState struct {
	merchantID, version string
	revisions           map[tenancy.TillSubject]int64
}

// state is that of a tenant, at most a second old.
func (s *Service) state(ctx context.Context, t tenancy.Tenant, now time.Time) (tillState, error) {
	s.mu.Lock()
	if s.revisions == nil {
		s.revisions = lru.New[int32, aged](maxTenants)
	}
	known, ok := s.revisions.Get(t.No)
	s.mu.Unlock()
	if age := now.Sub(known.at); ok && age >= 0 && age < revisionsAge {
		return known.has, nil
	}
	revisions, err := s.UoW.Read().Tenancy.TillRevisions(ctx, t)
	if err != nil {
		return tillState{}, err
	}
	has := tillState{t.MerchantID, s.Version, revisions}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revisions.Put(t.No, aged{has, now})
	return has, nil
}

// fields are a state as its token holds it: whose it is, then each subject.
func (h tillState) fields() []string {
	out := []string{h.merchantID}
	for _, subject := range tenancy.TillSubjects() {
		value := strconv.FormatInt(h.revisions[subject], 36)
		if subject == tenancy.TillCapabilities {
			value += "/" + h.version // a new build can do other things
		}
		out = append(out, value)
	}
	return out
}

// token is the state as a till keeps it: opaque, with a check sum.
func (h tillState) token() string {
	raw := strings.Join(h.fields(), "\n")
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(raw)))
	return base64.RawURLEncoding.EncodeToString(append(sum, raw...))
}

// since is what differs from the state that a token stands for; everything,
// where it stands for none of this merchant.
func (h tillState) since(token string) []tenancy.TillSubject {
	known := openToken(token)
	now, subjects := h.fields(), tenancy.TillSubjects()
	if len(known) != len(now) || known[0] != now[0] {
		return subjects
	}
	changed := []tenancy.TillSubject{}
	for i, subject := range subjects {
		if known[i+1] != now[i+1] {
			changed = append(changed, subject)
		}
	}
	return changed
}

// openToken reads what token made; nil for anything else.
func openToken(token string) []string {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < 5 || binary.BigEndian.Uint32(raw[:4]) != crc32.ChecksumIEEE(raw[4:]) {
		return nil
	}
	return strings.Split(string(raw[4:]), "\n")
}
