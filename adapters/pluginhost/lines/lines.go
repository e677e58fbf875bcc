// Package lines brings what an actuator writes into the host's log.
package lines

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// Bridge returns an hclog logger whose lines go to log. go-plugin logs its own
// lines by it and those that the actuator writes to standard error.
func Bridge(log *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Trace})
	l.RegisterSink(sink{log})
	return l
}

// sink hands hclog's lines to slog.
type sink struct{ log *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (s sink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	s.log.Log(context.Background(), levelOf(level), msg, args...)
}

func levelOf(level hclog.Level) slog.Level {
	switch level {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Info:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

// maxLine bounds a line that an actuator prints.
const maxLine = 8 << 10

// Printed is a writer for what an actuator prints: each line becomes a line of
// Log.
type Printed struct {
	Log *slog.Logger

	mu   sync.Mutex
	rest []byte
}

// Write implements io.Writer.
func (p *Printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, text...)
	for {
		line, rest, found := bytes.Cut(p.rest, []byte("\n"))
		if !found && len(p.rest) <= maxLine {
			return len(text), nil
		}
		p.Log.Info("actuator printed", "line", string(line[:min(len(line), maxLine)]))
		p.rest = append(p.rest[:0:0], rest...)
	}
}
