package identities

import (
	"context"
	"time"
)

const (
	// codeGrace is how long a code is kept after its end, so that whoever shows
	// it late learns that it expired or was used, and not that it is unknown.
	codeGrace = 24 * time.Hour
	// enrollmentGrace is longer than the window that daily enrolments are counted over.
	enrollmentGrace = 7 * 24 * time.Hour
)

// Sweep is one round of tidying: it deletes up to limit codes and up to limit
// enrolments that ended long ago, and returns how many rows went. A round that
// returns less than limit has nothing left to do.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	now := s.Clock.Now()
	return s.UoW.Read().Identity.Sweep(ctx, now.Add(-codeGrace), now.Add(-enrollmentGrace), limit)
}
