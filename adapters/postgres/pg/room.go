package pg

import (
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

// room is a message of no bytes that makes the buffer of a connection large enough
// for what follows. It begins with a kilobyte after each large statement, and
// doubling it up to a batch of payments copies all of it and leaves as much to the
// garbage collector.
type room int

var _ pgproto3.FrontendMessage = room(0)

// overhead is more than a statement takes beside the values of its parameters.
const overhead = 512

// roomFor is enough for a statement with params.
func roomFor(params [][]byte) room {
	size := overhead + len(params)*4
	for _, p := range params {
		size += len(p)
	}
	return room(size)
}

// Encode implements pgproto3.Message.
func (r room) Encode(dst []byte) ([]byte, error) { return slices.Grow(dst, int(r)), nil }

// Decode implements pgproto3.Message.
func (room) Decode([]byte) error { return errors.New("room is never received") }

// Frontend implements pgproto3.FrontendMessage.
func (room) Frontend() {}
