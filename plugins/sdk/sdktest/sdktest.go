// Package sdktest is the conformance suite for actuators. One line in a test
// of the author's runs it three ways: on the plain Go value, over gRPC in
// memory, and on a real process (the test binary starts itself again), because
// an actuator that passes must behave the same in all three.
//
//	func TestConformance(t *testing.T) {
//		sdktest.Exercise(t, func() sdk.Actuator { return mine.New() })
//	}
//
// It checks that plans hold to the rules by which the core proves them, that
// equal facts give equal plans, that no clock is read, that unknown fields are
// tolerated, that deadlines and cancellation are honoured, that concurrent
// calls do not disturb each other, that errors keep their type on the way, and
// that a repeated command is carried out once.
package sdktest

import (
	"os"
	"testing"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/conformance"
	"github.com/feddi/feddi/plugins/sdk/handshake"
)

// suite is what Exercise was given beside the actuator.
type suite struct {
	snapshots []sdk.Snapshot
	commands  []sdk.Command
}

// tested gives the suite a test to report to.
type tested struct{ *testing.T }

func (t tested) Run(name string, check func(conformance.T)) bool {
	return t.T.Run(name, func(t *testing.T) { check(tested{t}) })
}

// Option adds to what the suite feeds the actuator.
type Option func(*suite)

// Snapshots adds snapshots to those that the suite makes for every declared
// decision kind; needed by an actuator that cannot decide without settings or
// facts of its own. Ids must be unique.
func Snapshots(list ...sdk.Snapshot) Option {
	return func(s *suite) { s.snapshots = append(s.snapshots, list...) }
}

// Commands gives commands to execute; needed to check an actuator that
// declares command kinds. The factory must then provide an actuator whose
// outside world is a stand-in.
func Commands(list ...sdk.Command) Option {
	return func(s *suite) { s.commands = append(s.commands, list...) }
}

// Exercise runs the suite on the actuators that factory makes. Call it from a
// test function of its own: the suite starts the test binary again with only
// that test, and this call then serves instead of testing.
func Exercise(t *testing.T, factory func() sdk.Actuator, options ...Option) {
	t.Helper()
	if c := handshake.Config(); os.Getenv(c.MagicCookieKey) == c.MagicCookieValue {
		sdk.Serve(factory())
		os.Exit(0)
	}
	s := &suite{}
	for _, o := range options {
		o(s)
	}
	name := t.Name()
	for _, m := range []struct {
		name string
		dial func(t *testing.T) actuatorv1.ActuatorClient
	}{
		{"value", func(*testing.T) actuatorv1.ActuatorClient { return direct{sdk.NewServer(factory())} }},
		{"memory", func(t *testing.T) actuatorv1.ActuatorClient { return inMemory(t, factory()) }},
		{"process", func(t *testing.T) actuatorv1.ActuatorClient { return inProcess(t, name) }},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			exam := &conformance.Suite{
				Client: m.dial(t), Snapshots: s.snapshots, Commands: s.commands,
				Fresh: func(conformance.T) actuatorv1.ActuatorClient { return direct{sdk.NewServer(factory())} },
			}
			exam.Run(tested{t})
		})
	}
}
