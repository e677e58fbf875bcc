package events

import (
	"time"

	"github.com/feddi/feddi/core/event"
)

// columns are events as arrays, one for each column.
type columns struct {
	ids, types, subjects, traces, data []string
	tenants                            []int32
	times                              []time.Time
}

func newColumns(n int) *columns {
	return &columns{
		ids: make([]string, 0, n), types: make([]string, 0, n), subjects: make([]string, 0, n),
		traces: make([]string, 0, n), data: make([]string, 0, n),
		tenants: make([]int32, 0, n), times: make([]time.Time, 0, n),
	}
}

func (c *columns) add(e event.Event) {
	c.ids = append(c.ids, e.ID)
	c.tenants = append(c.tenants, e.Tenant.No)
	c.types = append(c.types, e.Type)
	c.subjects = append(c.subjects, e.Subject)
	c.traces = append(c.traces, e.TraceID)
	c.data = append(c.data, string(e.Data))
	c.times = append(c.times, e.At)
}
