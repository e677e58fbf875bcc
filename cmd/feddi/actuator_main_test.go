package main

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the program: its server runs it again for
// the first-party actuators.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "actuator" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}
