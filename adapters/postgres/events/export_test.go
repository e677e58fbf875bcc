package events

import (
	"context"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// ReadStatement is what the tail's connections read the log by.
const ReadStatement = readAfter

// Planned counts how often what the tail's idle connections prepared was planned
// to its parameters, and how often it was not.
func (t *Tail) Planned(ctx context.Context) (custom, generic int64, err error) {
	row, err := pg.One[struct{ Custom, Generic int64 }](ctx, t.db.Q(), `SELECT coalesce(sum(custom_plans), 0)::int8 AS custom, coalesce(sum(generic_plans), 0)::int8 AS generic
		FROM pg_prepared_statements WHERE statement ~ 'events|event_consumers'`)
	return row.Custom, row.Generic, err
}

// Setting gives a setting of a connection that was used.
func (t *Tail) Setting(ctx context.Context, name string) (string, error) {
	return pg.One[string](ctx, t.db.Q(), "SELECT current_setting($1)", name)
}
