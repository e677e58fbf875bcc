// Package contracts is where the published shapes live: protobuf sources in
// proto, the Go made from them in gen, and the OpenAPI documents made from the
// same descriptors in openapi. gen and openapi are committed and never edited.
//
// To regenerate after a change, with buf, protoc-gen-go, protoc-gen-connect-go
// and protoc-gen-go-grpc on the PATH: go generate ./contracts
package contracts

import _ "embed"

//go:generate buf generate
//go:generate sh -c "test ! -d proto/feddi/actuator || buf generate --template buf.gen.actuator.yaml"
//go:generate buf build proto --exclude-imports --as-file-descriptor-set -o gen/feddi.binpb

//go:embed gen/feddi.binpb
var descriptors []byte

// Descriptors is the FileDescriptorSet of proto, with the source comments that
// generated Go code drops. The caller must not change it.
func Descriptors() []byte { return descriptors }
