package actuatorcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/core/app/actuators"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
)

// Commands lists what actuators do outside.
type Commands struct {
	dataFlags
	Merchant string `help:"Only this merchant's (mer_...)." placeholder:"ID"`
	State    string `enum:",pending,done,parked" default:"" help:"Only those that are pending, done or parked." placeholder:"STATE"`
	Limit    int    `default:"50" help:"Most to list, 1 to 1000 (${default})." placeholder:"N"`
	JSON     bool   `help:"Print one JSON object per command, for machines."`
}

// Run lists commands, the latest first.
func (c Commands) Run(ctx context.Context, t *Terminal) error {
	if c.Limit < 1 || c.Limit > 1000 {
		return fmt.Errorf("--limit: give 1 to 1000")
	}
	return withActuators(ctx, c.dataFlags, func(string) {}, func(s *actuators.Service) error {
		list, err := s.Store.CommandList(ctx, actuators.CommandFilter{MerchantID: c.Merchant, State: c.State, Limit: c.Limit})
		if err != nil {
			return err
		}
		encoder := json.NewEncoder(t.Out)
		for _, one := range list {
			if !c.JSON {
				printCommand(t, one)
			} else if err := encoder.Encode(one); err != nil {
				return err
			}
		}
		if len(list) == 0 && !c.JSON {
			fmt.Fprintln(t.Out, "There are no such commands.")
		}
		return nil
	})
}

func printCommand(t *Terminal, c actuators.CommandStatus) {
	why := "asked for by " + c.DecisionID
	if c.Scheduled {
		why = "on schedule"
	}
	fmt.Fprintf(t.Out, "\n  %s  %s, attempt %d\n", c.CommandID, c.State, c.Attempts)
	fmt.Fprintf(t.Out, "    %s %s of %s\n", c.Actuator, c.Kind, c.MerchantID)
	fmt.Fprintf(t.Out, "    %s, %s\n", why, c.CommittedAt.UTC().Format(time.RFC3339))
	if c.Reference != "" {
		fmt.Fprintf(t.Out, "    answered %s\n", short(c.Reference, 60))
	}
	if c.Failure != "" {
		fmt.Fprintln(t.Out, wrapped(c.Failure, "    ", 80))
	}
}

// Retry has a parked command tried again.
type Retry struct {
	dataFlags
	Command string `arg:"" help:"Id of the command (cmd_...), see: feddi actuator commands --state parked."`
}

// Run puts the command back.
func (c Retry) Run(ctx context.Context, t *Terminal) error {
	return withActuators(ctx, c.dataFlags, func(string) {}, func(s *actuators.Service) error {
		err := s.Store.Unpark(ctx, c.Command, clock.System{}.Now())
		if fault.Is(err, fault.CodeNotFound) {
			return fmt.Errorf("there is no command %s; see: feddi actuator commands --state parked", c.Command)
		}
		if err == nil {
			fmt.Fprintf(t.Out, "%s is tried again, from its first attempt, within a second.\n", c.Command)
		}
		return err
	})
}
