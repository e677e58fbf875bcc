package system

import (
	"context"
	"errors"
	"testing"
)

var errDatabase = errors.New("the database did not answer in time")

// A job is done when a piece is not full. One whose time ends goes on when it is due
// again, and has failed only if it got nowhere; any other error is one.
func TestAJobWorksWhileItHasTime(t *testing.T) {
	t.Parallel()
	type piece struct {
		n   int
		end bool // of the job's time, during the piece
		err error
	}
	for name, c := range map[string]struct {
		pieces []piece
		want   error
	}{
		"nothing to do":             {[]piece{{}}, nil},
		"until little is left":      {[]piece{{n: jobPiece}, {n: jobPiece}, {n: 3}}, nil},
		"an error":                  {[]piece{{n: jobPiece}, {err: errDatabase}}, errDatabase},
		"time ends":                 {[]piece{{n: jobPiece}, {end: true, err: errDatabase}}, nil},
		"time ends in the first":    {[]piece{{n: 1, end: true, err: errDatabase}}, nil},
		"time ends without a thing": {[]piece{{end: true, err: errDatabase}}, errDatabase},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, end := context.WithCancel(t.Context())
			defer end()
			calls := 0
			err := job{run: func(context.Context, int) (int, error) {
				p := c.pieces[calls]
				calls++
				if p.end {
					end()
				}
				return p.n, p.err
			}}.work(ctx)
			if !errors.Is(err, c.want) || calls != len(c.pieces) {
				t.Errorf("%d pieces, %v; want %d, %v", calls, err, len(c.pieces), c.want)
			}
		})
	}
}
