// Package fault_test breaks what the real program stands on, while guests pay
// at it: the server itself, Postgres, the connections between them, the disk,
// the actuators. After each fault the books are held against what the guests
// were told.
package fault_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/feddi/feddi/test/internal/feddid"
	"github.com/feddi/feddi/test/internal/rig"
)

// TestMain lets the test binary be an actuator too: run with "actuator" and a
// name it is that one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "actuator" {
		act(os.Args[2], os.Args[3:])
		os.Exit(0)
	}
	os.Exit(run(m))
}

// atOnce is how many tests run side by side, on any number of cores: they wait
// for time limits and disks more than they compute.
const atOnce = "4"

func run(m *testing.M) int {
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, "fault:", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "feddi-fault-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "fault:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory
	program = sync.OnceValues(func() (string, error) { return feddid.Build(context.Background(), dir) })
	return m.Run()
}

// program builds the program once, for the tests that need it.
var program func() (string, error)

// launch starts the program on a database, with a shop of n guests.
func launch(t *testing.T, dsn string, n int) *rig.System {
	t.Helper()
	binary, err := program()
	rig.Must(t, err)
	return rig.Launch(t, binary, dsn, n)
}
