package pgdev

import (
	"context"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// Running gives the server that another process runs on dir, and false where
// none answers there. Stop leaves it alone.
func Running(ctx context.Context, dir string) (*Server, bool) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, false
	}
	socket := place{abs}.socket()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, socketDSN(socket, ""))
	if err != nil {
		return nil, false
	}
	_ = conn.Close(ctx)
	s := External("")
	s.dsn = func(db string) string { return socketDSN(socket, db) }
	s.from = "a running server on " + abs
	return s, true
}
