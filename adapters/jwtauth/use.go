package jwtauth

import (
	"context"
	"maps"
	"time"
)

const (
	// noteEvery is how exact the last use of a key is kept.
	noteEvery = time.Minute
	// flushEvery is how often uses are written.
	flushEvery = 15 * time.Second
)

// note remembers that a key was used, at most once a minute per key. The caller
// locks.
func (a *Authenticator) note(e *keyEntry, now time.Time) {
	if e.noted.IsZero() || now.Sub(e.noted) >= noteEvery {
		e.noted = now
		a.used[e.standing.Key.ID] = now
	}
}

// Run writes last uses in the background until ctx ends, and once more then.
func (a *Authenticator) Run(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			a.flushLogged(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			a.flushLogged(last)
			return
		}
	}
}

func (a *Authenticator) flushLogged(ctx context.Context) {
	if err := a.Flush(ctx); err != nil {
		a.Log.WarnContext(ctx, "cannot write the last use of keys; will try again", "cause", err)
	}
}

// Flush writes the uses that were noted since the last Flush. Where that
// fails they are kept for the next one.
func (a *Authenticator) Flush(ctx context.Context) error {
	a.mu.Lock()
	used := a.used
	a.used = map[string]time.Time{}
	a.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	err := a.Store.Touch(ctx, used)
	if err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		maps.Copy(used, a.used) // later uses win
		a.used = used
	}
	return err
}
