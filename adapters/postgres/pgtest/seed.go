package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pgdev"
)

// layout is part of a seed's name; raise it when a seed is built differently.
const layout = "1"

// stale is the age at which a seed that no test used is removed.
const stale = time.Hour

// seed returns the directory of a stopped server with the template, building
// it where it is missing; other processes wait for the one that builds. The
// caller calls release when it has copied it. A seed is only a matter of speed:
// where it cannot be had, seed returns "" and the server builds the template.
func seed(ctx context.Context) (dir string, release func()) {
	none := func() {}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", none
	}
	return seedIn(ctx, filepath.Join(cache, "feddi", "pgtest"))
}

func seedIn(ctx context.Context, base string) (dir string, release func()) {
	none := func() {}
	if os.MkdirAll(base, 0o700) != nil {
		return "", none
	}
	dir = filepath.Join(base, layout+"-"+migrations.Hash()[:16])
	unlock, err := lock(filepath.Join(base, "lock"))
	if err != nil {
		return "", none
	}
	if _, err := os.Stat(dir); err != nil {
		prune(base)
		if build(ctx, dir) != nil {
			unlock()
			return "", none
		}
	}
	now := time.Now()
	if os.Chtimes(dir, now, now) != nil { // in use, see prune
		unlock()
		return "", none
	}
	return dir, unlock
}

// build makes the seed under another name and moves it into its place.
func build(ctx context.Context, dir string) (err error) {
	half := dir + ".half"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(half)) }()
	dev, err := pgdev.Start(ctx, pgdev.Options{Dir: half, Private: true})
	if err != nil {
		return err
	}
	s, err := open(ctx, dev)
	if s != nil && s.admin != nil {
		err = errors.Join(err, s.admin.Close(ctx))
	}
	if err := errors.Join(err, dev.Stop(ctx)); err != nil {
		return err
	}
	if err := os.Rename(half, dir); err != nil {
		return fmt.Errorf("put the seed into its place: %w", err)
	}
	return nil
}

// prune removes seeds of schemas that nobody tests any more.
func prune(base string) {
	entries, _ := os.ReadDir(base) // a cache: what cannot be read stays
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.IsDir() && time.Since(info.ModTime()) > stale {
			_ = os.RemoveAll(filepath.Join(base, e.Name())) // as above
		}
	}
}

// lock waits for path to be ours; it is free again when its holder ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // nothing was written
}
