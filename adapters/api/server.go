// Package api is the published face of the system: the partner surface over
// REST and over Connect, from one contract and through one pipeline.
package api

import (
	"context"
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
