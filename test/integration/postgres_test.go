package integration_test

import (
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/client"

	"github.com/feddi/feddi/test/internal/rig"
	"github.com/feddi/feddi/test/internal/trade"
)

// launch starts the program on a container, with guests who pay.
func (c *container) launch() (*rig.System, *trade.Load) {
	c.t.Helper()
	binary, err := program()
	rig.Must(c.t, err)
	_, dsn := rig.LineTo(c.t, c.address)
	s := rig.Launch(c.t, binary, dsn, 8)
	return s, s.Shop.Load(c.t.Context(), 8)
}

// answers waits until the database does.
func (c *container) answers() {
	c.t.Helper()
	rig.Eventually(c.t, func() error {
		dsn, err := c.address()
		if err != nil {
			return err
		}
		conn, err := pgx.Connect(c.t.Context(), dsn)
		if err != nil {
			return err
		}
		return conn.Close(c.t.Context())
	})
}

// unanswered waits for payments that the server refused because of a fault.
func unanswered(t *testing.T, load *trade.Load, n int) {
	t.Helper()
	before := trade.Counts{}
	rig.Must(t, load.Await(t.Context(), func(c trade.Counts) bool {
		if before.Refused == nil {
			before = c
		}
		return refused(c) >= refused(before)+n
	}))
}

func refused(c trade.Counts) int {
	return c.Refused[http.StatusServiceUnavailable] + c.Refused[http.StatusGatewayTimeout]
}

func TestContainerKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := start(t)
	s, load := c.launch()
	for range 2 {
		rig.Must(t, load.Taken(ctx, 40))
		_, err := c.engine.ContainerKill(ctx, c.run.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"})
		rig.Must(t, err)
		unanswered(t, load, 10)
		s.Healthy(http.StatusServiceUnavailable)
		rig.Must(t, c.run.Start(ctx))
	}
	s.Healthy(http.StatusOK)
	rig.Must(t, load.Taken(ctx, 40))
	s.Settle(load, c.dsn())
}

func TestContainerPaused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := start(t)
	s, load := c.launch()
	rig.Must(t, load.Taken(ctx, 40))
	_, err := c.engine.ContainerPause(ctx, c.run.GetContainerID(), client.ContainerPauseOptions{})
	rig.Must(t, err)
	s.Healthy(http.StatusServiceUnavailable)
	unanswered(t, load, 8) // none hangs with it
	_, err = c.engine.ContainerUnpause(ctx, c.run.GetContainerID(), client.ContainerUnpauseOptions{})
	rig.Must(t, err)
	s.Healthy(http.StatusOK)
	rig.Must(t, load.Taken(ctx, 40))
	s.Settle(load, c.dsn())
}

func TestContainerCutOff(t *testing.T) {
	t.Parallel()
	const network = "bridge"
	ctx := t.Context()
	c := start(t)
	s, load := c.launch()
	for range 2 {
		rig.Must(t, load.Taken(ctx, 40))
		_, err := c.engine.NetworkDisconnect(ctx, network, client.NetworkDisconnectOptions{Container: c.run.GetContainerID(), Force: true})
		rig.Must(t, err)
		unanswered(t, load, 10)
		s.Healthy(http.StatusServiceUnavailable)
		_, err = c.engine.NetworkConnect(ctx, network, client.NetworkConnectOptions{Container: c.run.GetContainerID()})
		rig.Must(t, err)
	}
	s.Healthy(http.StatusOK)
	rig.Must(t, load.Taken(ctx, 40))
	s.Settle(load, c.dsn())
}
