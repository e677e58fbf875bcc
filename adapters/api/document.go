package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/feddi/feddi/adapters/api/openapi"
	"github.com/feddi/feddi/adapters/api/operation"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/contracts"
	"github.com/feddi/feddi/core/app"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

const description = `Identified retail decisioning for partners: checkout sessions, wallets, offers and their reasons.

Every answer is {ok, data, error, meta}; branch on error.code and nothing else. Amounts are integers in minor units, times are RFC 3339 in UTC. ` +
	`Members that the contract does not know are refused. Every POST carries an Idempotency-Key header and may be repeated with it.`

// Document writes the OpenAPI document of ops. media are the media types that
// an operation answers with beside JSON, by operation id.
func Document(ops []*operation.Operation, media map[string][]string) ([]byte, error) {
	comments, err := openapi.ReadComments(contracts.Descriptors())
	if err != nil {
		return nil, err
	}
	return openapi.Write(openapi.Source{
		Title: "Feddi Partner API", Description: description, Version: pipeline.Versions[0], Server: Base,
		Operations: ops, Comments: comments, Media: media,
	})
}

// FullDocument writes the document of the whole contract, planned operations
// included.
func FullDocument() ([]byte, error) {
	c, err := Catalogue()
	if err != nil {
		return nil, err
	}
	return Document(c.All, map[string][]string{"getReceipt": {"application/pdf", "text/plain"}})
}

// served is the document of what is mounted, written once.
type served struct {
	document []byte
	etag     string
}

// register adds getOpenApiSpec, which answers with the document that write
// fills in when everything is registered.
func (s *served) register(reg *pipeline.Registry) {
	pipeline.Handle(reg, partnerv1connect.PlatformServiceGetOpenApiSpecProcedure,
		func(context.Context, *app.Call, *partnerv1.GetOpenApiSpecRequest) (*partnerv1.GetOpenApiSpecResponse, error) {
			return &partnerv1.GetOpenApiSpecResponse{Document: string(s.document)}, nil
		})
}

func (s *served) write(reg *pipeline.Registry) error {
	media := map[string][]string{}
	for _, o := range reg.Operations() {
		for name := range reg.Handler(o).Representations {
			media[o.ID] = append(media[o.ID], name)
		}
		slices.Sort(media[o.ID])
	}
	document, err := Document(reg.Operations(), media)
	if err != nil {
		return err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return err
	}
	s.document = compact.Bytes()
	sum := sha256.Sum256(s.document)
	s.etag = `"` + hex.EncodeToString(sum[:16]) + `"`
	return nil
}

// ServeHTTP serves the document as it is, without the envelope.
func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Etag", s.etag)
	h.Set("Cache-Control", "no-cache")
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == s.etag || tag == "*" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(s.document)))
	_, _ = w.Write(s.document) // the caller is gone where this fails
}
