package outbox

import (
	"testing"
	"testing/synctest"
	"time"
)

// Whoever commits seldom wakes the readers at once; the next wake-up is some time
// after it, twice as long where the readings find plenty.
func TestWakeUpsKeepTheirDistance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		found []int // by the readings so far
		want  time.Duration
	}{
		"few":                        {[]int{plenty - 1}, apart},
		"plenty":                     {[]int{plenty}, apartBusy},
		"plenty for twice the time":  {[]int{plenty, 2 * plenty}, apartBusy},
		"no more than in half of it": {[]int{plenty, 2*plenty - 1}, apart},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, begin := NewWake(), time.Now()
				for _, n := range c.found {
					w.found(n)
				}
				first := w.next()
				w.Ring()
				<-first
				if took := time.Since(begin); took != 0 || w.coming() {
					t.Errorf("woken after %v, another one coming: %t", took, w.coming())
				}
				second := w.next()
				w.Ring()
				w.Ring()
				if !w.coming() {
					t.Error("no second one is coming")
				}
				<-second
				if took := time.Since(begin); took != c.want || w.coming() {
					t.Errorf("woken again after %v, want %v; a third one coming: %t", took, c.want, w.coming())
				}
			})
		})
	}
}
