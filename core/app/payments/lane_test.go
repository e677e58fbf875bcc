package payments

import (
	"testing"
	"testing/synctest"
	"time"
)

// What the planner takes: everything that waits when the committer is free, half of
// those inside while it is busy, and no more than a batch.
func TestGatherTakesTurnsWithTheCommitter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		inside, ahead int // payments inside, of which so many are being committed
		waiting, most int // wait when the planner looks; the size of a batch
		come          int // then, while the planner waits
		freed, late   bool
		want          int
	}{
		"the committer is free":            {inside: 32, waiting: 3, most: 100, want: 3},
		"it is busy, half are there":       {inside: 32, ahead: 16, waiting: 16, most: 100, want: 16},
		"it is busy, half come":            {inside: 32, ahead: 16, waiting: 2, most: 100, come: 14, want: 16},
		"it becomes free before half came": {inside: 32, ahead: 16, waiting: 2, most: 100, come: 5, freed: true, want: 7},
		"it is kept":                       {inside: 32, ahead: 16, waiting: 2, most: 100, come: 5, late: true, want: 7},
		"more than a batch wait":           {inside: 600, ahead: 100, waiting: 200, most: 100, want: 100},
		"half are more than a batch":       {inside: 600, ahead: 100, waiting: 10, most: 100, come: 90, want: 100},
		"one alone behind one":             {inside: 2, ahead: 1, waiting: 1, most: 100, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLane(1000)
				l.inside.Store(int64(c.inside))
				if c.ahead > 0 {
					l.decide(make([]*job, c.ahead))
				}
				for range c.waiting {
					l.jobs <- &job{}
				}
				got := make(chan int, 1)
				go func() { got <- len(l.gather([]*job{<-l.jobs}, c.most)) }()
				for range c.come {
					synctest.Wait()
					if len(got) > 0 {
						t.Fatalf("it went on with %d", <-got)
					}
					l.jobs <- &job{}
				}
				synctest.Wait()
				if (c.freed || c.late) && len(got) > 0 {
					t.Fatalf("it went on with %d before the committer was free", <-got)
				}
				if c.freed {
					l.committed(len(<-l.decided))
					synctest.Wait()
				}
				if c.late {
					time.Sleep(patience)
					synctest.Wait()
				}
				if len(got) == 0 {
					close(l.jobs) // let it end
					t.Fatalf("it waits with fewer than %d", c.want)
				}
				if n := <-got; n != c.want {
					t.Errorf("it took %d, want %d", n, c.want)
				}
			})
		})
	}
}

// A token from an earlier commit does not let the planner go on while a later one
// is under way, and the crowd of a minute ago is forgotten.
func TestGatherLooksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLane(1000)
		l.inside.Store(8)
		l.decide(make([]*job, 1))
		l.committed(len(<-l.decided)) // leaves a token
		l.decide(make([]*job, 4))
		got := make(chan int, 1)
		go func() { got <- len(l.gather([]*job{{}}, 100)) }()
		synctest.Wait()
		if len(got) > 0 {
			t.Fatalf("it went on with %d", <-got)
		}
		l.committed(len(<-l.decided))
		if n := <-got; n != 1 {
			t.Errorf("it took %d, want the one", n)
		}
		l.crowd = 1000
		l.inside.Store(1)
		for range 200 {
			l.gather([]*job{{}}, 100)
		}
		if l.crowd != 1 {
			t.Errorf("still a crowd of %d", l.crowd)
		}
	})
}
