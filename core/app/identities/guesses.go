package identities

import (
	"sync"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

const (
	// maxGuesses is how many short codes that nobody has one caller may try
	// within guessWindow. With a thousand codes out, of 28.6 million, a stolen
	// till guesses for 20 days until it finds one, and dies with its key before.
	maxGuesses  = 10
	guessWindow = 10 * time.Minute
	// forgetful is from how many callers on windows that ended are dropped.
	forgetful = 4096
)

// Guesses caps how many short codes a till or key may try in vain; each server
// counts by itself. No setting lifts it. The zero value is ready; safe for
// concurrent use.
type Guesses struct {
	mu      sync.Mutex
	windows map[string]window
}

// window is what one caller tried since its first vain guess.
type window struct {
	ends time.Time
	n    int
}

// Take counts a guess before it is judged, so that guesses in parallel count
// too; whoever finds that the code exists gives it back (Return). Credentials
// that cannot be guessed are not counted. Errors: ATTEMPTS_EXHAUSTED.
func (g *Guesses) Take(call *app.Call, c identity.Credential, now time.Time) error {
	if c.Type != identity.ShortCode {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.windows[caller(call)]
	if !now.Before(w.ends) {
		g.forget(now)
		w = window{ends: now.Add(guessWindow)}
	}
	if w.n >= maxGuesses {
		return fault.Field(fault.CodeAttemptsExhausted, "credential.value", "max_guesses",
			"too many short codes that do not exist were tried here; wait for Retry-After, or have the customer show a QR code").After(w.ends.Sub(now))
	}
	w.n++
	g.windows[caller(call)] = w
	return nil
}

// Return gives a guess back: the code exists.
func (g *Guesses) Return(call *app.Call, c identity.Credential) {
	if c.Type != identity.ShortCode {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if w, ok := g.windows[caller(call)]; ok && w.n > 0 {
		w.n--
		g.windows[caller(call)] = w
	}
}

// Guarded runs judge under the cap: a short code that led to nobody counts as
// a guess. A failure gives the guess back unless it says NOT_FOUND: a code that
// expired or was used exists, too.
func Guarded[R any](g *Guesses, call *app.Call, c identity.Credential, now time.Time, led func(R) bool, judge func() (R, error)) (R, error) {
	if err := g.Take(call, c, now); err != nil {
		var none R
		return none, err
	}
	r, err := judge()
	if (err == nil && led(r)) || (err != nil && !fault.Is(err, fault.CodeNotFound)) {
		g.Return(call, c)
	}
	return r, err
}

// forget drops windows that ended, once there are many.
func (g *Guesses) forget(now time.Time) {
	if g.windows == nil {
		g.windows = map[string]window{}
	}
	if len(g.windows) < forgetful {
		return
	}
	for who, w := range g.windows {
		if !now.Before(w.ends) {
			delete(g.windows, who)
		}
	}
}

// caller is whose guesses count together: a till, or else a key.
func caller(call *app.Call) string {
	a := call.Actor
	return a.PartnerID + "/" + a.KeyID + "/" + a.TerminalID
}
