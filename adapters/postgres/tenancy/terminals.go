package tenancy

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// AddTerminal implements tenancy.Terminals.
func (s *Store) AddTerminal(ctx context.Context, t tenancy.Tenant, x tenancy.Terminal) error {
	return s.AddPlaces(ctx, t, tenancy.Places{Terminals: []tenancy.Terminal{x}})
}

const terminalColumns = `terminal_id, brand_id, branch_id, name, status, reference, serial_number, model,
	software_version, last_seen_at, token_generation, created_at`

type terminalRow struct {
	TerminalID, BrandID, BranchID, Name, Status     string
	Reference, SerialNumber, Model, SoftwareVersion string
	LastSeenAt                                      *time.Time
	TokenGeneration                                 int32
	CreatedAt                                       time.Time
}

func (r *terminalRow) terminal(t tenancy.Tenant) tenancy.Terminal {
	return tenancy.Terminal{
		ID: r.TerminalID, MerchantID: t.MerchantID, BrandID: r.BrandID, BranchID: r.BranchID, Name: r.Name, Status: r.Status,
		Reference: r.Reference, SerialNumber: r.SerialNumber, Model: r.Model, SoftwareVersion: r.SoftwareVersion,
		LastSeenAt: r.LastSeenAt, TokenGeneration: r.TokenGeneration, CreatedAt: r.CreatedAt,
	}
}

// Terminal implements tenancy.Terminals.
func (s *Store) Terminal(ctx context.Context, t tenancy.Tenant, id string) (tenancy.Terminal, error) {
	row, err := pg.Maybe[terminalRow](ctx, s.q, `SELECT `+terminalColumns+` FROM terminals WHERE tenant_no = $1 AND terminal_id = $2`, t.No, id)
	if err != nil {
		return tenancy.Terminal{}, err
	}
	if row == nil {
		return tenancy.Terminal{}, fault.NotFound("terminal")
	}
	return row.terminal(t), nil
}

// listTerminals runs along terminals_list. The state is judged from the row as
// Terminal.StateAt does; it has no index, because one on last_seen_at would be
// written by every heartbeat, and a merchant's terminals are few enough to walk.
const listTerminals = `SELECT ` + terminalColumns + ` FROM terminals
	WHERE tenant_no = $1 AND (created_at, terminal_id) < ($2, $3)` + terminalsWanted

// listBranchTerminals is the same along terminals_branch_list.
const listBranchTerminals = `SELECT ` + terminalColumns + ` FROM terminals
	WHERE tenant_no = $1 AND branch_id = $10 AND (created_at, terminal_id) < ($2, $3)` + terminalsWanted

const terminalsWanted = `
	  AND ($4 = '' OR brand_id = $4) AND ($5 = '' OR branch_id = $5)
	  AND ($6 = '' OR CASE WHEN status <> 'active' THEN 'disabled'
	        WHEN last_seen_at >= $7::timestamptz THEN 'online' WHEN last_seen_at >= $8::timestamptz THEN 'late' ELSE 'offline' END = $6)
	ORDER BY created_at DESC, terminal_id DESC LIMIT $9`

// ListTerminals implements tenancy.Terminals.
func (s *Store) ListTerminals(ctx context.Context, t tenancy.Tenant, f tenancy.TerminalFilter) ([]tenancy.Terminal, error) {
	statement := listTerminals
	args := []any{
		t.No, f.Before, f.BeforeID, f.Reach.BrandID, f.Reach.BranchID, string(f.State),
		f.Now.Add(-tenancy.OnlineFor), f.Now.Add(-tenancy.LateFor), f.Limit,
	}
	if f.BranchID != "" {
		statement, args = listBranchTerminals, append(args, f.BranchID)
	}
	rows, err := pg.Many[terminalRow](ctx, s.q, statement, args...)
	if err != nil {
		return nil, err
	}
	out := make([]tenancy.Terminal, len(rows))
	for i := range rows {
		out[i] = rows[i].terminal(t)
	}
	return out, nil
}

// SetTerminalStatus implements tenancy.Terminals.
func (s *Store) SetTerminalStatus(ctx context.Context, t tenancy.Tenant, id, status string) error {
	n, err := s.q.Exec(ctx, `UPDATE terminals SET status = $3 WHERE tenant_no = $1 AND terminal_id = $2`, t.No, id, status)
	return found(n, err, "terminal")
}

// EndTokens implements tenancy.Terminals.
func (s *Store) EndTokens(ctx context.Context, t tenancy.Tenant, terminalID string) error {
	n, err := s.q.Exec(ctx, `UPDATE terminals SET token_generation = token_generation + 1 WHERE tenant_no = $1 AND terminal_id = $2`, t.No, terminalID)
	return found(n, err, "terminal")
}

// seen takes the rows in the order of their ids, so that two servers that write
// the same ones do not wait in a circle.
const seen = `WITH beat AS (
	SELECT t.terminal_id, b.at, b.version FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS b (id, at, version)
	JOIN terminals t ON t.terminal_id = b.id AND (t.last_seen_at IS NULL OR t.last_seen_at < b.at)
	ORDER BY t.terminal_id FOR NO KEY UPDATE OF t)
	UPDATE terminals t SET last_seen_at = beat.at, software_version = beat.version FROM beat WHERE t.terminal_id = beat.terminal_id`

// Seen implements tenancy.Terminals.
func (s *Store) Seen(ctx context.Context, beats map[string]tenancy.Heartbeat) error {
	if len(beats) == 0 {
		return nil
	}
	ids, times, versions := make([]string, 0, len(beats)), make([]time.Time, 0, len(beats)), make([]string, 0, len(beats))
	for id, b := range beats {
		ids, times, versions = append(ids, id), append(times, b.At), append(versions, b.SoftwareVersion)
	}
	_, err := s.q.Exec(ctx, seen, ids, times, versions)
	return err
}

type tillRevision struct {
	Subject  string
	Revision int64
}

// TillRevisions implements tenancy.Terminals.
func (s *Store) TillRevisions(ctx context.Context, t tenancy.Tenant) (map[tenancy.TillSubject]int64, error) {
	rows, err := pg.Many[tillRevision](ctx, s.q, `SELECT subject, revision FROM till_revisions WHERE tenant_no = $1`, t.No)
	out := make(map[tenancy.TillSubject]int64, len(rows))
	for _, r := range rows {
		out[tenancy.TillSubject(r.Subject)] = r.Revision
	}
	return out, err
}
