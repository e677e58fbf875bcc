// Command feddi is the whole system in one binary: the server, its actuators,
// its database starter, its demonstration and its tools. main.go says which
// commands there are; each has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	_ "time/tzdata" // merchants' time zones on machines that have none

	"github.com/alecthomas/kong"
)

// version is the version of the program, set by the linker in releases.
var version = "dev"

// commands are the sub-commands. Flags come first, then the environment, then
// the defaults; --help shows all three.
type commands struct {
	Demo     demoCommand     `cmd:"" help:"Buy one coffee, from hello to receipt, on a system of its own."`
	Dev      devCommand      `cmd:"" help:"Run the whole system for development: sandbox, own database, data that survives."`
	Serve    serveCommand    `cmd:"" help:"Run the server in production; needs DATABASE_URL."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database up to this version."`
	Ledger   ledgerCommand   `cmd:"" help:"Check the ledger; read the decisions behind it."`
	Bench    benchCommand    `cmd:"" help:"Measure a deployment beside what its database can do."`
	Openapi  openapiCommand  `cmd:"" help:"Print the OpenAPI 3.1 document."`
	Keys     keysCommand     `cmd:"" help:"Make, list and revoke API keys from the server's own machine."`
	Doctor   doctorCommand   `cmd:"" help:"Say what this machine has and what is missing."`
	Actuator actuatorCommand `cmd:"" help:"Write, examine and install actuators of your own."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// terminal is where a command writes.
type terminal struct {
	out, err io.Writer
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(t *terminal) error {
	fmt.Fprintln(t.out, "feddi", version)
	return nil
}

// errSilent ends the program with status 1 after the command has said why.
var errSilent = errors.New("")

func main() {
	collectLess()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command line and returns the exit status: 0 done, 1 failed, 2
// the command line was wrong.
func run(args []string, stdout, stderr io.Writer) int {
	var c commands
	parser, err := kong.New(&c, kong.Name("feddi"),
		kong.Description("An open, self-hosted identified-retail-decisioning system."),
		kong.UsageOnError(), kong.Writers(stdout, stderr), kong.DefaultEnvars("FEDDI"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 80}))
	if err != nil {
		fmt.Fprintln(stderr, "feddi:", err)
		return 2
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		parser.Errorf("%s", err)
		return 2
	}
	// SIGTERM and Ctrl-C drain; a second Ctrl-C ends at once, as the default
	// handler is back by then.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop)
	chosen.BindTo(ctx, (*context.Context)(nil))
	if !strings.HasPrefix(chosen.Command(), "actuator") {
		defer runtime.KeepAlive(collectSeldom())
	}
	if err := chosen.Run(&terminal{stdout, stderr}); err != nil {
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(stderr, "feddi:", err)
		}
		return 1
	}
	return 0
}
