// Package archive serves the archives of exports, by the links that requests
// show. It is no operation of the contract: a person opens the link.
package archive

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Path is where archives lie.
const Path = "/exports/"

// Open finds the archive of a link; gone is its error where there is none.
type Open func(ctx context.Context, requestID, token string) (write func(io.Writer) error, err error)

// pieceTime is how long the reader of an archive may take for one piece.
const pieceTime = time.Minute

// patient gives each piece its own time: an archive may take longer than an
// answer of the API.
type patient struct {
	w  io.Writer
	rc *http.ResponseController
}

// Write implements io.Writer.
func (p patient) Write(piece []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(pieceTime)) // where it cannot be set, the server's own holds
	return p.w.Write(piece)
}

// Handler serves GET /exports/{id}?token=...
func Handler(open Open, gone error, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"{id}", func(w http.ResponseWriter, r *http.Request) {
		write, err := open(r.Context(), r.PathValue("id"), r.URL.Query().Get("token"))
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case errors.Is(err, gone):
			http.Error(w, "There is no such archive, or its time is over. Ask for a new link (GET /v1/partner/customers/gdpr/requests/{requestId}).", http.StatusNotFound)
			return
		case err != nil:
			log.Error("an archive could not be opened", "error", err)
			http.Error(w, "The archive cannot be read now; try again in a moment.", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/zip")
		w.Header().Set("Content-Disposition", `attachment; filename="what-is-held-on-you.zip"`)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		rc := http.NewResponseController(w)
		if err := write(patient{w, rc}); err != nil {
			log.Warn("an archive was not sent whole", "error", err)
			_ = rc.SetWriteDeadline(time.Unix(1, 0)) // the end is not written: nobody takes a part for the whole
		}
	})
	return mux
}
