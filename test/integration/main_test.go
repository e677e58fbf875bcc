// Package integration_test runs the real program on a Postgres in a container,
// and has the container paused, killed and cut off while guests pay.
//
// It needs a container engine and an image: the one that
// FEDDI_TEST_POSTGRES_IMAGE names, else an official one. Where either is
// missing nothing is run, and each test says so; with
// FEDDI_REQUIRE_CONTAINERS=1 that is a failure.
package integration_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/modules/postgres"

	"github.com/feddi/feddi/test/internal/feddid"
	"github.com/feddi/feddi/test/internal/rig"
)

// official is the image where none is named.
const official = "postgres:15-alpine"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "feddi-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory
	// Every container is removed by its test; the library's own sweeper would
	// need an image of its own.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	log.SetDefault(silent{})
	program = sync.OnceValues(func() (string, error) { return feddid.Build(context.Background(), dir) })
	return m.Run()
}

// program builds the program once.
var program func() (string, error)

// silent keeps the library's news of every step out of the tests' output.
type silent struct{}

func (silent) Printf(string, ...any) {}

// image is the image's name, once it is known that containers of it can run.
var image = sync.OnceValues(func() (string, error) {
	name := os.Getenv("FEDDI_TEST_POSTGRES_IMAGE")
	if name == "" {
		name = official
	}
	return name, available(name)
})

// available finds out whether the engine answers, and has the image or can get
// it: an engine that answers says nothing about images.
func available(image string) (err error) {
	defer func() {
		if r := recover(); r != nil { // so the library says that it found no engine
			err = fmt.Errorf("no container engine: %v", r)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return fmt.Errorf("no container engine: %w", err)
	}
	defer func() { _ = provider.Close() }() // it holds idle connections only
	engine := provider.Client()
	if _, err := engine.Ping(ctx, client.PingOptions{}); err != nil {
		return fmt.Errorf("no container engine: %w", err)
	}
	if _, err := engine.ImageInspect(ctx, image); err == nil {
		return nil
	}
	pull, err := engine.ImagePull(ctx, image, client.ImagePullOptions{})
	if err == nil {
		err = pull.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("no image %s: %w", image, err)
	}
	return nil
}

// container is a Postgres in a container, and the engine that runs it.
type container struct {
	t      *testing.T
	engine *testcontainers.DockerClient
	run    *postgres.PostgresContainer
}

// start starts one, or says why not.
func start(t *testing.T) *container {
	t.Helper()
	name, err := image()
	if err != nil {
		if os.Getenv("FEDDI_REQUIRE_CONTAINERS") == "1" {
			t.Fatalf("FEDDI_REQUIRE_CONTAINERS is set: %v", err)
		}
		rig.NotRun(t, "faults of Postgres in a container: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := &container{t: t}
	c.engine, err = testcontainers.NewDockerClientWithOpts(ctx)
	rig.Must(t, err)
	c.run, err = postgres.Run(ctx, name, postgres.WithUsername(user), postgres.WithPassword(user), postgres.WithDatabase(user),
		testcontainers.WithCmd("postgres")) // durable, unlike the library's default
	testcontainers.CleanupContainer(t, c.run, testcontainers.StopTimeout(0)) // nothing in it is needed any more
	rig.Must(t, err)
	c.answers()
	return c
}

// user is the database's user, password and name.
const user = "feddi"

// address is where the database listens now: it changes when the container is
// started or connected anew.
func (c *container) address() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.run.ConnectionString(ctx, "sslmode=disable", "connect_timeout=2")
}

// dsn is address for the books.
func (c *container) dsn() string {
	c.t.Helper()
	dsn, err := c.address()
	rig.Must(c.t, err)
	return dsn
}
