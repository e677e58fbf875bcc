package sdk

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/feddi/feddi/plugins/sdk/handshake"
)

// Serve is an actuator's main: it serves a until the host ends the process,
// and then returns. Started by hand, it prints a hint and exits with 1. When
// the host dies, so does the process.
func Serve(a Actuator) {
	if host, err := strconv.Atoi(os.Getenv(handshake.ParentEnv)); err == nil {
		go dieWith(host)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  handshake.Config(),
		VersionedPlugins: handshake.Plugins(&served{actuator: a}),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(handshake.MaxRequestBytes),
				grpc.StaticConnWindowSize(handshake.Window), grpc.StaticStreamWindowSize(handshake.Window))...)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: os.Stderr, JSONFormat: true}),
	})
}

// Logger returns a logger whose lines arrive in the host's log, with the
// actuator's name. Make it before Serve is called.
func Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) > 0 {
				return a
			}
			switch a.Key {
			case slog.TimeKey:
				a.Key = "@timestamp"
			case slog.LevelKey:
				a = slog.String("@level", strings.ToLower(a.Value.String()))
			case slog.MessageKey:
				a.Key = "@message"
			}
			return a
		},
	}))
}

// dieWith ends this process when its parent is no longer the host. Linux does
// it by itself; other systems leave orphans running.
func dieWith(host int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != host {
			os.Exit(1)
		}
	}
}

// served is the go-plugin side of an actuator.
type served struct {
	plugin.NetRPCUnsupportedPlugin

	actuator Actuator
}

// GRPCServer implements plugin.GRPCPlugin.
func (p *served) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	Register(s, p.actuator)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin. An actuator has no client side.
func (p *served) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("sdk: an actuator serves, it does not call")
}
