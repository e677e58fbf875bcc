package payments

import (
	"sync"

	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/ledger"
)

// claim names something that one payment at a time may work on. The zero value
// is nothing.
type claim struct {
	kind   byte // k: key, s: session, w: wallet; always claimed in this order
	tenant int32
	id     string
}

func keyClaim(s idempotency.Scope) claim {
	if s.Key == "" {
		return claim{}
	}
	return claim{kind: 'k', id: string(s.Mode) + " " + s.PartnerID + " " + s.Operation + " " + s.Key}
}

func sessionClaim(w Want) claim {
	if w.SessionID == "" {
		return claim{}
	}
	return claim{'s', w.Tenant.No, w.SessionID}
}

func walletClaim(w *ledger.Wallet) claim { return claim{'w', w.Tenant.No, w.CustomerID} }

// locks serialise payments that touch the same things, within this process: a
// wallet's payments follow each other instead of racing for its version. (The
// version guards against other processes.) Claims are taken in one order and
// handed over in the order in which they were asked for, so nobody waits in a
// circle and nobody starves.
//
// Which wallet a code pays from is known only once it is read, so that a wallet
// may be read while its last payment is still being committed, and be free when
// it is claimed. What was read is older than that payment then: locks know
// until when, so that nobody plans on it. (The commit would find out, and fail for
// all that travel with it.)
type locks struct {
	mu      sync.Mutex
	waiting map[claim][]*job // who waits for it; present while somebody holds it
	// turn counts releases; let says at which one a claim was let go last, of late
	// and before that.
	turn uint64
	let  [2]map[claim]uint64
}

// remembered is how many claims each half of let holds: of a second or more.
const remembered = 8192

// now is the turn to compare with what was let go later.
func (l *locks) now() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turn
}

// letSince reports whether somebody else held c after the turn.
func (l *locks) letSince(c claim, turn uint64) bool {
	if c == (claim{}) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.let[0][c] > turn || l.let[1][c] > turn
}

func (l *locks) remember(c claim) {
	if l.let[0] == nil || len(l.let[0]) >= remembered {
		l.let[1], l.let[0] = l.let[0], map[claim]uint64{}
	}
	l.let[0][c] = l.turn
}

// take gives c to j where it is free or j's already. Else j waits and is
// returned by the release that hands c over to it.
func (l *locks) take(j *job, c claim) bool {
	for _, held := range j.claims {
		if held == c {
			return true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if queue, taken := l.waiting[c]; taken {
		l.waiting[c] = append(queue, j)
		return false
	}
	if l.waiting == nil {
		l.waiting = map[claim][]*job{}
	}
	l.waiting[c] = nil
	j.claims = append(j.claims, c)
	return true
}

// release frees what j holds and returns those that now hold it instead: they
// have to begin again.
func (l *locks) release(j *job) []*job {
	if len(j.claims) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var next []*job
	l.turn++
	for _, c := range j.claims {
		if c.kind != 'k' {
			l.remember(c)
		}
		queue := l.waiting[c]
		if len(queue) == 0 {
			delete(l.waiting, c)
			continue
		}
		heir := queue[0]
		queue[0] = nil
		l.waiting[c] = queue[1:]
		heir.claims = append(heir.claims, c)
		next = append(next, heir)
	}
	j.claims = nil
	return next
}
