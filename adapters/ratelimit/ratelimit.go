// Package ratelimit bounds how often somebody may call: a token bucket per
// caller, in memory, per server.
package ratelimit

import (
	"math"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/lru"
)

// Rule is the budget of one caller.
type Rule struct {
	PerSecond float64
	Burst     int // permits of a caller who was silent
}

// PerKey is the budget of an API key, with its terminal tokens.
func PerKey() Rule { return Rule{PerSecond: 200, Burst: 400} }

// SandboxesPerAddress is how fast one address may make sandboxes: 10 a minute.
func SandboxesPerAddress() Rule { return Rule{PerSecond: 10.0 / 60, Burst: 10} }

// maxCallers bounds the memory; a bucket is about 200 bytes. Who is pushed out
// by others has a full bucket again.
const maxCallers = 100_000

// Limiter implements the pipeline's Limiter. Safe for concurrent use.
type Limiter struct {
	clock clock.Clock
	rules map[string]Rule // by prefix of a caller's key

	mu      sync.Mutex
	buckets *lru.Cache[string, *rate.Limiter]
}

// New returns a limiter that applies to each caller's key ("key:key_01k9...")
// the rule of its prefix ("key:"). A key without a rule is not limited.
func New(c clock.Clock, rules map[string]Rule) *Limiter {
	return &Limiter{clock: c, rules: rules, buckets: lru.New[string, *rate.Limiter](maxCallers)}
}

// Allow takes one permit of key's budget. Where there is none it takes nothing,
// and retryAfter is when the next one comes.
func (l *Limiter) Allow(key string) (ok bool, retryAfter time.Duration) {
	rule, limited := l.rule(key)
	if !limited {
		return true, 0
	}
	now := l.clock.Now()
	b := l.bucket(key, rule)
	if b.AllowN(now, 1) {
		return true, 0
	}
	missing := 1 - b.TokensAt(now)
	return false, max(time.Duration(math.Ceil(missing/rule.PerSecond*float64(time.Second))), time.Millisecond)
}

func (l *Limiter) rule(key string) (Rule, bool) {
	for prefix, r := range l.rules {
		if strings.HasPrefix(key, prefix) {
			return r, true
		}
	}
	return Rule{}, false
}

func (l *Limiter) bucket(key string, r Rule) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets.Get(key)
	if !ok {
		b = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
		l.buckets.Put(key, b)
	}
	return b
}

// Off lets everybody pass; for load runs.
type Off struct{}

// Allow implements the pipeline's Limiter.
func (Off) Allow(string) (bool, time.Duration) { return true, 0 }
