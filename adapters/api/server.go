// Package api is the published face of the system: the partner surface over
// REST and over Connect, from one contract and through one pipeline.
package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/feddi/feddi/adapters/api/operation"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/adapters/api/rest"
	"github.com/feddi/feddi/adapters/api/rpc"
	"github.com/feddi/feddi/adapters/api/strictjson"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Base is where the partner surface lies on REST.
const Base = "/v1/partner"

// Catalogue reads the operations of the partner surface from the contract.
func Catalogue() (*operation.Catalogue, error) {
	return operation.Load(protoregistry.GlobalFiles, string(partnerv1.File_feddi_partner_v1_common_proto.Package()))
}

// Server serves the partner surface. It implements http.Handler.
type Server struct {
	// Pipeline is what both doors lead to.
	Pipeline *pipeline.Pipeline

	rest, rpc http.Handler
	procedure string // what every Connect path begins with
}

// New mounts every operation that c.Registry has a handler for: on REST below
// Base, over Connect at its procedure. Everything must be registered before,
// except getOpenApiSpec, which is the server's own.
func New(c pipeline.Config) (*Server, error) {
	spec := &served{}
	if c.Registry != nil {
		spec.register(c.Registry)
	}
	p, err := pipeline.New(c)
	if err != nil {
		return nil, err
	}
	plans := strictjson.NewPlans()
	dialect, err := rest.NewFeddi(plans)
	if err != nil {
		return nil, err
	}
	if err := spec.write(p.Registry); err != nil {
		return nil, err
	}
	mount, err := rest.New(Base, dialect, p, plans, map[string]http.Handler{"getOpenApiSpec": spec})
	if err != nil {
		return nil, err
	}
	return &Server{
		Pipeline:  p,
		rest:      mount,
		rpc:       rpc.New(p, rest.SetHeaders),
		procedure: "/" + p.Registry.Catalogue().Package + ".",
	}, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, s.procedure) {
		s.rpc.ServeHTTP(w, r)
		return
	}
	s.rest.ServeHTTP(w, r)
}

// NewHTTPServer returns the http.Server for h: HTTP/1.1 and HTTP/2, the latter
// without TLS too (gRPC clients inside a network), with limits on slow callers.
func NewHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      pipeline.DefaultTimeout + 15*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
