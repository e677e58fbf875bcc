package privacy

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/privacy"
)

const (
	// pieceSize is how many bytes of an archive are held in memory, sealed and
	// written at once.
	pieceSize = 256 << 10
	// maxPieces bounds an archive to 512 MiB.
	maxPieces = 2048
	// pageSize is how many records are read at once.
	pageSize = 200
)

var errTooLarge = errors.New("privacy: the archive exceeds 512 MiB")

// export writes the archive of a request, and only then says that it is there.
func (s *Service) export(ctx context.Context, r privacy.Request) error {
	store := s.UoW.Read().Privacy
	if err := store.DropArchive(ctx, r.Tenant, r.ID); err != nil { // of an attempt before
		return err
	}
	everybody, err := store.Family(ctx, r.Tenant, r.CustomerID)
	if err != nil {
		return err
	}
	r.Counts = nil
	out := &pieceWriter{ctx: ctx, s: s, r: &r}
	if err := s.write(ctx, out, &r, everybody); err != nil {
		if errors.Is(err, privacy.ErrEnded) { // erased meanwhile; nothing of it is kept
			return nil
		}
		return err
	}
	ours, err := store.SaveRequest(ctx, r.End(privacy.Completed, s.Clock.Now()))
	if err == nil && !ours { // erased meanwhile, or another worker has it
		err = store.DropArchive(ctx, r.Tenant, r.ID)
	}
	return err
}

// write writes the archive: a page to read, and a file of data per section. One
// page of records is in memory at a time.
func (s *Service) write(ctx context.Context, out io.WriteCloser, r *privacy.Request, everybody []string) error {
	store := s.UoW.Read().Privacy
	archive := zip.NewWriter(out)
	for _, section := range store.Sections() {
		file, err := archive.Create("data/" + section.Name + ".json")
		if err != nil {
			return err
		}
		n, err := s.data(ctx, file, *r, section, everybody)
		if err != nil {
			return fmt.Errorf("export %s: %w", section.Name, err)
		}
		r.Count(section.Name, n)
	}
	page, err := archive.Create("index.html")
	if err != nil {
		return err
	}
	if err := s.page(ctx, page, *r, everybody); err != nil {
		return err
	}
	return errors.Join(archive.Close(), out.Close())
}

// each calls fn for every record of a section, page by page.
func (s *Service) each(ctx context.Context, r privacy.Request, section string, everybody []string, fn func(privacy.Record) error) error {
	for after := ""; ; {
		records, err := s.UoW.Read().Privacy.Held(ctx, r.Tenant, section, everybody, after, pageSize)
		if err != nil || len(records) == 0 {
			return err
		}
		for _, record := range records {
			if err := fn(record); err != nil {
				return err
			}
		}
		after = records[len(records)-1].Key
	}
}

// data writes a section as a JSON array, a record per line.
func (s *Service) data(ctx context.Context, out io.Writer, r privacy.Request, section privacy.Section, everybody []string) (n int64, err error) {
	separator := "[\n"
	err = s.each(ctx, r, section.Name, everybody, func(record privacy.Record) error {
		n++
		_, err := io.WriteString(out, separator+string(record.Doc))
		separator = ",\n"
		return err
	})
	if err == nil && n == 0 {
		_, err = io.WriteString(out, "[")
	}
	if err == nil {
		_, err = io.WriteString(out, "\n]\n")
	}
	return n, err
}

// page writes what a person reads: every section with its records as lists of
// what is held.
func (s *Service) page(ctx context.Context, out io.Writer, r privacy.Request, everybody []string) error {
	_, err := fmt.Fprintf(out, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>What is held on you</title>\n"+
		"<style>body{font-family:sans-serif;max-width:60em;margin:auto}table{border-collapse:collapse;margin:0 0 1em}"+
		"td{border:1px solid #ccc;padding:.2em .5em;vertical-align:top}</style>\n"+
		"<h1>What is held on you</h1>\n<p>Made on %s for the request %s. The same is in data/, for programs.</p>\n",
		s.Clock.Now().UTC().Format("2 January 2006, 15:04 MST"), html.EscapeString(r.ID))
	if err != nil {
		return err
	}
	for _, section := range s.UoW.Read().Privacy.Sections() {
		if _, err := fmt.Fprintf(out, "<h2>%s</h2>\n", html.EscapeString(section.Title)); err != nil {
			return err
		}
		n := 0
		err := s.each(ctx, r, section.Name, everybody, func(record privacy.Record) error {
			n++
			return table(out, record.Doc)
		})
		if err == nil && n == 0 {
			_, err = io.WriteString(out, "<p>Nothing.</p>\n")
		}
		if err != nil {
			return err
		}
	}
	_, err = io.WriteString(out, "</html>\n")
	return err
}

// table writes a record: a row for each thing that is known.
func table(out io.Writer, doc json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(doc, &fields); err != nil {
		return err
	}
	names := make([]string, 0, len(fields))
	for name, value := range fields {
		if v := string(value); v != "null" && v != `""` {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var row bytes.Buffer
	row.WriteString("<table>\n")
	for _, name := range names {
		fmt.Fprintf(&row, "<tr><td>%s<td>%s\n", html.EscapeString(strings.ReplaceAll(name, "_", " ")), html.EscapeString(readable(fields[name])))
	}
	row.WriteString("</table>\n")
	_, err := out.Write(row.Bytes())
	return err
}

// readable is a value without its quotes.
func readable(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// pieceWriter seals what is written and stores it piece by piece.
type pieceWriter struct {
	ctx context.Context
	s   *Service
	r   *privacy.Request
	buf []byte
	n   int
}

// Write implements io.Writer.
func (w *pieceWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	for len(w.buf) >= pieceSize {
		if err := w.store(w.buf[:pieceSize]); err != nil {
			return 0, err
		}
		w.buf = append(w.buf[:0], w.buf[pieceSize:]...)
	}
	return len(p), nil
}

// Close stores what is left.
func (w *pieceWriter) Close() error {
	if len(w.buf) == 0 {
		return nil
	}
	return w.store(w.buf)
}

func (w *pieceWriter) store(plain []byte) error {
	if w.n++; w.n > maxPieces {
		return errTooLarge
	}
	sealed, err := w.s.Sealer.Seal(plain)
	if err != nil {
		return err
	}
	return w.s.UoW.Read().Privacy.AddPiece(w.ctx, w.r.Tenant, w.r.ID, w.n, sealed)
}

// token is what fetches the archive of a request, beside its id.
func (s *Service) token(requestID string) string {
	h := hmac.New(sha256.New, s.LinkKey)
	h.Write([]byte("gdpr archive v1\x00" + requestID))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// ErrGone says that there is no such archive, or that it is there no longer:
// the two are not told apart.
var ErrGone = errors.New("privacy: there is no such archive")

// Open finds the archive that a download link names, and returns what writes
// it, piece by piece. Errors: ErrGone.
func (s *Service) Open(ctx context.Context, requestID, token string) (func(io.Writer) error, error) {
	if !hmac.Equal([]byte(token), []byte(s.token(requestID))) {
		return nil, ErrGone
	}
	store := s.UoW.Read().Privacy
	r, err := store.RequestByLink(ctx, requestID)
	if fault.Is(err, fault.CodeNotFound) || err == nil && !r.Fetchable(s.Clock.Now()) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, err
	}
	return func(out io.Writer) error {
		for n := 1; ; n++ {
			sealed, err := store.Piece(ctx, r.Tenant, r.ID, n)
			if err != nil || sealed == nil {
				return err
			}
			plain, err := s.Sealer.Open(sealed)
			if err != nil {
				return err
			}
			if _, err := out.Write(plain); err != nil {
				return err
			}
		}
	}, nil
}
