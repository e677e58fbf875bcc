package decision

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// Engine runs the inputs of a trace and gives its outputs, both JSON objects.
// It is pure: what it needs beside the inputs (immutable versions of rules) it
// was given before.
type Engine func(ctx context.Context, inputs json.RawMessage) (json.RawMessage, error)

// Mismatch says where a replay left the recorded outputs.
type Mismatch struct {
	TraceID string
	// Offset is the first byte that differs.
	Offset          int
	Recorded, Again string // what stands there, some bytes of context each
}

// Error implements error.
func (m *Mismatch) Error() string {
	return fmt.Sprintf("trace %s does not replay: byte %d was %q and is %q", m.TraceID, m.Offset, m.Recorded, m.Again)
}

// Replay runs a trace's inputs again and gives nil where the outputs are the
// recorded ones byte for byte, a *Mismatch where they are not, and the
// engine's error where it could not run.
func Replay(ctx context.Context, tr Trace, run Engine) error {
	again, err := run(ctx, tr.Inputs)
	if err != nil {
		return fmt.Errorf("replay trace %s by %s: %w", tr.ID, tr.Engine, err)
	}
	if bytes.Equal(again, tr.Outputs) {
		return nil
	}
	at := 0
	for at < len(again) && at < len(tr.Outputs) && again[at] == tr.Outputs[at] {
		at++
	}
	return &Mismatch{TraceID: tr.ID, Offset: at, Recorded: around(tr.Outputs, at), Again: around(again, at)}
}

// around is b from a little before offset at.
func around(b []byte, at int) string {
	return string(b[max(at-20, 0):min(at+40, len(b))])
}
