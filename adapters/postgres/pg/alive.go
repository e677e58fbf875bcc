package pg

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// restart is less than Postgres takes to come back: where a connection used so
	// lately is closed, a new one would be refused, too.
	restart = 10 * time.Millisecond
	// silent is how long a connection may be unused before its server is asked whether
	// it is still there. That it closed it is seen without; that it is gone without a
	// word, which takes a network in between, is not.
	silent = 30 * time.Second
)

// doubtful tells the pool to ping a connection, a round trip, before it is used, and to
// take another one where that fails. Without it the first statements after a restart
// of Postgres would fail, one for each connection of before.
func doubtful(_ context.Context, p pgxpool.ShouldPingParams) bool {
	if p.IdleDuration < restart {
		return false
	}
	if p.IdleDuration > silent {
		return true
	}
	conn := p.Conn.PgConn().Conn()
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	return closed(conn)
}
