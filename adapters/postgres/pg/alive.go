package pg

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// silent is how long a connection may be unused before it is asked whether its
// server is still there, a round trip. Whether that closed it is seen at once; that it is
// gone without a word, which takes a network in between, is not.
const silent = 30 * time.Second

func pingAfterSilence(_ context.Context, p pgxpool.ShouldPingParams) bool {
	return p.IdleDuration > silent
}

// usable reports whether the server has left a connection open, which costs a system
// call. A pool takes another one where it has not: else the first statements after
// a restart of Postgres would fail, one for each connection of before.
func usable(_ context.Context, c *pgx.Conn) (bool, error) {
	conn := c.PgConn().Conn()
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	return !closed(conn), nil
}
