// Package pgdev finds or starts a Postgres for development, demonstrations,
// benchmarks and tests, so that a laptop needs no set-up.
//
// A server of our own runs on a private data directory and listens on a unix
// socket only. It never outlives the process that started it, a killed one
// starts again at once on the same directory, and neither the user (root is
// dropped) nor the place of the directory (under a home of mode 0700) matters.
package pgdev

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// User is the database role that owns everything on a server of our own, and
// Database the one that DSN("") names.
const (
	User     = "feddi"
	Database = "feddi"
)

// Options say what to start.
type Options struct {
	// Dir holds the server: its data, socket, log and lock. Made if missing.
	// Empty means a temporary one, which is removed when the server ends,
	// however it ends.
	Dir string
	// Durable keeps fsync, synchronous_commit and full_page_writes on, as
	// everything but tests wants.
	Durable bool
	// Progress is told, in a few words, what takes time; nil for silence.
	Progress func(string)
	// Private starts a server of our own even where DATABASE_URL names one.
	Private bool
	// Seed is the Dir of a stopped server that a new one begins as a copy of;
	// empty means an empty database.
	Seed string
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// Server is a Postgres that answers.
type Server struct {
	dsn  func(db string) string
	stop func(context.Context) error
	done <-chan struct{}
	from string
}

// Start gives a server: the one that DATABASE_URL names, else one of our own
// from the machine's programs, else from Docker, else from downloaded
// programs. It returns when the server answers; a cold start takes well under
// a second with the machine's programs. Its error says what to install.
func Start(ctx context.Context, o Options) (*Server, error) {
	if dsn := os.Getenv("DATABASE_URL"); dsn != "" && !o.Private {
		return External(dsn), nil
	}
	return machine().start(ctx, o)
}

// start tries one source after the other.
func (s sources) start(ctx context.Context, o Options) (*Server, error) {
	if all := s.installed(ctx); len(all) > 0 {
		p, err := choose(all, o.Dir)
		if err != nil {
			return nil, err
		}
		return startOwn(ctx, o, p)
	}
	image, noImage := s.image(ctx, o)
	if noImage == nil {
		return s.startContainer(ctx, o, image)
	}
	p, noDownload := s.download(ctx, o)
	if noDownload == nil {
		return startOwn(ctx, o, p)
	}
	return nil, fmt.Errorf("%w (docker: %w; download: %w)", errNoPrograms, noImage, noDownload)
}

// External wraps a server that somebody else runs; Stop leaves it alone.
func External(dsn string) *Server {
	return &Server{
		dsn:  func(db string) string { return withDatabase(dsn, db) },
		stop: func(context.Context) error { return nil },
		done: make(chan struct{}),
		from: "DATABASE_URL",
	}
}

// DSN is the address of a database on the server, for pg.Connect and for
// psql; "" means Database (for External: the one of its URL).
func (s *Server) DSN(db string) string { return s.dsn(db) }

// From says where the server comes from, for a person.
func (s *Server) From() string { return s.from }

// Done is closed when a server of our own has ended, asked or not.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends a server of our own: open transactions are rolled back, data is
// safe. Where ctx ends first it is ended the hard way, and recovers at its
// next start. Calling Stop again, or on an external server, does nothing.
func (s *Server) Stop(ctx context.Context) error { return s.stop(ctx) }

func socketDSN(dir, db string) string {
	if db == "" {
		db = Database
	}
	return "postgres://" + User + "@/" + url.PathEscape(db) + "?host=" + url.QueryEscape(dir)
}

// withDatabase replaces the database of a URL or of key=value pairs.
func withDatabase(dsn, db string) string {
	if db == "" {
		return dsn
	}
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return dsn + " dbname=" + db // the later pair wins
	}
	u.Path = "/" + db
	return u.String()
}

var errNoPrograms = errors.New("no Postgres 15 or newer was found on this machine and none could be fetched; " +
	"on Debian and Ubuntu run: apt-get install -y postgresql ; or set DATABASE_URL to a server")

// place is the directory of one server.
type place struct{ root string }

func (p place) data() string   { return filepath.Join(p.root, "data") }
func (p place) lock() string   { return filepath.Join(p.root, "lock") }
func (p place) log() string    { return filepath.Join(p.root, "postgres.log") }
func (p place) socket() string { return filepath.Join(p.root, "s") }
