package pgdev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// wanted is the image that is pulled where no other will do.
const wanted = "postgres:17-alpine"

// pull bounds the wait for an image; a registry that is not there fails fast.
const pull = 3 * time.Minute

// image finds a Postgres image: one that is present, else one that can be had.
// A daemon that answers says nothing about images, so that is what is asked.
func (s sources) image(ctx context.Context, o Options) (string, error) {
	out, err := s.dockerOut(ctx, probe, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "postgres")
	if err != nil {
		return "", err
	}
	if image := newestImage(out); image != "" {
		return image, nil
	}
	o.say("docker pull %s", wanted)
	if _, err := s.dockerOut(ctx, pull, "pull", "--quiet", wanted); err != nil {
		return "", err
	}
	return wanted, nil
}

var tagRE = regexp.MustCompile(`(?m)^postgres:(\d+)[-.\w]*$`)

// newestImage is the newest of the listed images that will do, or "".
func newestImage(list string) string {
	image, newest := "", oldest-1
	for _, m := range tagRE.FindAllStringSubmatch(list, -1) {
		if major, err := strconv.Atoi(m[1]); err == nil && major > newest {
			image, newest = m[0], major
		}
	}
	return image
}

func (s sources) dockerOut(ctx context.Context, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.docker, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

// startContainer runs image with its data in o.Dir. A container cannot be
// given a directory of sockets on every system, so this one listens on a
// loopback port, with a password. It begins empty even where there is a Seed,
// which other programs wrote.
func (s sources) startContainer(ctx context.Context, o Options, image string) (*Server, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	password := rand.Text()
	var lock *os.File
	if o.Dir != "" {
		if lock, password, err = claimContainerHome(ctx, place{dir}); err != nil {
			return nil, err
		}
	} else {
		dir = ""
	}
	release := func() {
		if lock != nil {
			_ = lock.Close() // nothing more to write
		}
	}
	o.say("start a container of %s", image)
	id, err := s.dockerOut(ctx, time.Minute, containerArgs(image, password, dir, o.Durable)...)
	if err != nil {
		release()
		return nil, err
	}
	c := &container{sources: s, id: id, release: release, done: make(chan struct{})}
	if c.pipe, err = keeper(`"$1" stop "$2" >/dev/null 2>&1`, s.docker, id); err != nil {
		return nil, errors.Join(err, c.stop(ctx))
	}
	address, err := s.dockerOut(ctx, probe, "port", id, "5432/tcp")
	if err != nil {
		return nil, errors.Join(err, c.stop(ctx))
	}
	address, _, _ = strings.Cut(address, "\n")
	server := &Server{
		dsn: func(db string) string {
			return withDatabase("postgres://"+User+":"+password+"@"+address+"/"+Database+"?sslmode=disable", db)
		},
		stop: c.stop,
		done: c.done,
		from: "a container of " + image,
	}
	if err := answers(ctx, server.DSN("")); err != nil {
		return nil, errors.Join(err, c.stop(ctx))
	}
	return server, nil
}

// containerArgs is the docker command line; dir "" keeps the data in the container.
func containerArgs(image, password, dir string, durable bool) []string {
	args := []string{
		"run", "--detach", "--rm", "--publish", "127.0.0.1::5432", "--shm-size", "256m",
		"--env", "POSTGRES_USER=" + User, "--env", "POSTGRES_DB=" + Database, "--env", "POSTGRES_PASSWORD=" + password,
		"--env", "PGDATA=/feddi/data", "--env", "POSTGRES_INITDB_ARGS=--locale=C --encoding=UTF8",
	}
	if dir != "" {
		args = append(args, "--volume", filepath.Join(dir, "container")+":/feddi")
	}
	args = append(args, image, "-c", "max_connections=200", "-c", "timezone=UTC", "-c", "jit=off")
	if !durable {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	}
	return args
}

// claimContainerHome locks a home and gives the password that its data was made with.
func claimContainerHome(ctx context.Context, p place) (lock *os.File, password string, err error) {
	if err := os.MkdirAll(filepath.Join(p.root, "container"), 0o700); err != nil {
		return nil, "", err
	}
	if lock, err = acquire(ctx, p); err != nil {
		return nil, "", err
	}
	file := filepath.Join(p.root, "password")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(rand.Text())
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return nil, "", errors.Join(err, lock.Close())
	}
	return lock, string(text), nil
}

type container struct {
	sources
	id      string
	pipe    *os.File
	release func()
	once    sync.Once
	err     error
	done    chan struct{}
}

func (c *container) stop(ctx context.Context) error {
	c.once.Do(func() {
		_, c.err = c.dockerOut(ctx, time.Minute, "stop", c.id)
		if c.pipe != nil {
			_ = c.pipe.Close() // now the keeper ends too
		}
		c.release()
		close(c.done)
	})
	return c.err
}

// answers waits until a server answers: the image starts it twice, and only
// the second one listens here.
func answers(ctx context.Context, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the container does not answer: %w", err)
		case <-tick.C:
		}
	}
}
