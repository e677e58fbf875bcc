// Package privacy is what people may ask for by right: an archive of everything
// that is held on them, and to be erased.
package privacy

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
)

// EventCustomerErased tells that nothing personal is left of a customer.
const EventCustomerErased = "customer.erased"

// Kind is what was asked for.
type Kind string

// The kinds of request.
const (
	Export  Kind = "export"
	Erasure Kind = "erasure"
)

// State is how far a request is.
type State string

// The states of requests. An export expires when its archive is deleted.
const (
	Pending    State = "pending"
	Processing State = "processing"
	Completed  State = "completed"
	Failed     State = "failed"
	Expired    State = "expired"
)

const (
	// Kept is how long an archive can be fetched.
	Kept = 7 * 24 * time.Hour
	// Lease is how long a worker has a request to itself.
	Lease = 5 * time.Minute
	// MaxAttempts is how often an export is tried.
	MaxAttempts = 5
)

// Count is how many records of one kind a request touched.
type Count struct {
	Record string
	N      int64
}

// Request is an export or an erasure.
type Request struct {
	ID          string
	Tenant      tenancy.Tenant
	CustomerID  string
	Kind        Kind
	State       State
	Reason      string
	Counts      []Count
	Attempts    int
	DueAt       *time.Time // nil once it is done
	RequestedAt time.Time
	CompletedAt *time.Time
	ExpiresAt   *time.Time // of the archive
}

// Count adds n records of a kind.
func (r *Request) Count(record string, n int64) {
	for i := range r.Counts {
		if r.Counts[i].Record == record {
			r.Counts[i].N += n
			return
		}
	}
	if n > 0 {
		r.Counts = append(r.Counts, Count{record, n})
	}
}

// End is the request in a final state.
func (r Request) End(s State, now time.Time) Request {
	r.State, r.DueAt, r.CompletedAt = s, nil, &now
	if r.Kind == Export && s == Completed {
		until := now.Add(Kept)
		r.ExpiresAt = &until
	}
	return r
}

// Fetchable reports whether there is an archive to fetch at now.
func (r Request) Fetchable(now time.Time) bool {
	return r.Kind == Export && r.State == Completed && r.ExpiresAt != nil && now.Before(*r.ExpiresAt)
}

// Erased tells that the erasure is done.
func (r Request) Erased(id string, now time.Time) event.Event {
	raw, _ := json.Marshal(map[string]string{"customer_id": r.CustomerID, "request_id": r.ID}) // cannot fail
	return event.Event{ID: id, Tenant: r.Tenant, Type: EventCustomerErased, Subject: r.CustomerID, At: now, Data: raw}
}

// Section is one kind of record in an archive.
type Section struct {
	Name  string // of its file and in counts, for example credentials
	Title string // for a person
}

// Record is one record as an archive has it: a JSON object, with what orders it.
type Record struct {
	Key string
	Doc json.RawMessage
}

// Sealer encrypts the pieces of archives.
type Sealer interface {
	Seal(plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// ErrEnded says that a request ended while it was done: its person was erased.
var ErrEnded = errors.New("privacy: the request has ended")

// Store keeps requests and archives, reads what is held and erases it.
type Store interface {
	Requests
	Archives
	Erasures
}

// Requests keeps requests.
type Requests interface {
	// AddRequest writes a pending one.
	AddRequest(ctx context.Context, r Request) error
	// Request reads one. Errors: NOT_FOUND.
	Request(ctx context.Context, t tenancy.Tenant, id string) (Request, error)
	// RequestByLink reads the one that a signed link names, whoever's it is.
	// Errors: NOT_FOUND.
	RequestByLink(ctx context.Context, id string) (Request, error)
	// OpenRequest is the id of the customer's request of a kind that is not done;
	// empty where there is none.
	OpenRequest(ctx context.Context, t tenancy.Tenant, customerID string, k Kind) (string, error)
	// ClaimRequest leases the request that is due longest at now, for Lease; nil
	// where none is. Attempts counts it. It serves the worker of all tenants.
	ClaimRequest(ctx context.Context, now time.Time) (*Request, error)
	// SaveRequest writes what became of a claimed one; false where it is not
	// open any more.
	SaveRequest(ctx context.Context, r Request) (bool, error)
	// ExpireArchives ends up to limit exports whose archive's time is over at
	// now, deletes the archives, and returns how many.
	ExpireArchives(ctx context.Context, now time.Time, limit int) (int, error)
}

// Archives keeps archives and reads what goes into them.
type Archives interface {
	// Sections lists what an archive holds, in order.
	Sections() []Section
	// Family lists a customer and those who were merged into it.
	Family(ctx context.Context, t tenancy.Tenant, customerID string) ([]string, error)
	// Held reads up to limit records of a section about customers, by key, after
	// a key (empty for the first).
	Held(ctx context.Context, t tenancy.Tenant, section string, customerIDs []string, after string, limit int) ([]Record, error)
	// AddPiece writes a sealed piece of an archive, from 1. Errors: ErrEnded.
	AddPiece(ctx context.Context, t tenancy.Tenant, requestID string, n int, sealed []byte) error
	// Piece reads one; nil past the last.
	Piece(ctx context.Context, t tenancy.Tenant, requestID string, n int) ([]byte, error)
	// DropArchive deletes the pieces of an archive.
	DropArchive(ctx context.Context, t tenancy.Tenant, requestID string) error
}

// Erasures erases.
type Erasures interface {
	// Hold locks customers, in the order of their ids.
	Hold(ctx context.Context, t tenancy.Tenant, customerIDs []string) error
	// Anonymise erases who customers are: phone, name, e-mail, birth date, what
	// leads to them, the identity of open sessions, archives. Their phones may
	// enrol anew. The caller holds them and their open sessions.
	Anonymise(ctx context.Context, t tenancy.Tenant, customerIDs []string, now time.Time) ([]Count, error)
	// EraseSome erases up to limit records of each kind of what else was told of
	// customers; nothing was left where no count says limit.
	EraseSome(ctx context.Context, t tenancy.Tenant, customerIDs []string, limit int) ([]Count, error)
}
