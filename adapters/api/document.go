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

**Begin** with POST /auth/keys/sandbox, which needs no credential: it answers with a key, a merchant, a terminal and seeded offers. Trade the key for the terminal's token with POST /auth/token. GET /capabilities lists what each of the two may call.

**Answers** are {ok, data, error, meta}, but for GET /openapi. Branch on error.code and nothing else; each operation lists its codes in x-error-codes, and error.details name the fields at fault. Ignore members you do not know: answers may gain some. Requests may not: members that the contract does not know are refused with their path.

**Retries**: every POST carries an Idempotency-Key header, a fresh UUID for each intention and the same one for each retry of it. For 24 hours the first outcome is answered again, byte for byte, with meta.idempotency_replayed true. Where error.retryable is true the same intention may succeed later: with a new key after 402, else with the same key, after Retry-After where it is sent.

**Amounts** are integers in minor units of their currency; deposits (actual) and promotional credit (promo) are never one sum. Times are RFC 3339 in UTC. Ids are opaque.

**Lists** come latest first, by 50 unless limit says otherwise. While meta.next_cursor is there, send it back as cursor, with the same filters; rows that are added meanwhile move nothing.

**Streams**: x-stream names the procedure of Connect and gRPC that does an operation and tells meanwhile how far it is: the same request, credential, key, errors and, as its last message, answer.

**Versions** are dates: send the one you build against as meta.api_version, on reads as the header Feddi-Api-Version. x-maturity is ga (stable), beta (callable, may still tighten) or planned (answers 501; not in the document that a server serves).`

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
