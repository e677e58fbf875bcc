package rpc

import (
	"bytes"
	"fmt"
	"regexp"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/feddi/feddi/adapters/api/strictjson"
	"github.com/feddi/feddi/core/fault"
)

// inbound is a message as it came. Connect hands it over undecoded, so that
// what is wrong with it is answered in the contract's own terms.
type inbound struct {
	wire []byte
	json bool
}

// outbound is a message to answer with.
type outbound struct{ message proto.Message }

// codec is one of the forms a message has on the wire.
type codec struct {
	name string
	json bool
}

var (
	binary   = codec{name: "proto"}
	jsonText = codec{name: "json", json: true}
	jsonUTF8 = codec{name: "json; charset=utf-8", json: true}
)

// Name implements connect.Codec.
func (c codec) Name() string { return c.name }

// Unmarshal implements connect.Codec. Connect reuses data.
func (c codec) Unmarshal(data []byte, into any) error {
	in, ok := into.(*inbound)
	if !ok {
		return fmt.Errorf("cannot read into %T", into)
	}
	in.wire, in.json = bytes.Clone(data), c.json
	return nil
}

// Marshal implements connect.Codec.
func (c codec) Marshal(from any) ([]byte, error) {
	var m proto.Message
	switch v := from.(type) {
	case *outbound:
		m = v.message
	case proto.Message: // gRPC's own status
		m = v
	default:
		return nil, fmt.Errorf("cannot write %T", from)
	}
	if c.json {
		return protojson.Marshal(m)
	}
	return proto.Marshal(m)
}

// decode reads the message into req: VALIDATION_FAILED where it is none.
// protojson takes both forms of a name and integers as text, as Connect
// clients send them; unknown members are refused all the same.
func (in *inbound) decode(req proto.Message) error {
	if !in.json {
		if err := (proto.UnmarshalOptions{RecursionLimit: strictjson.MaxDepth}).Unmarshal(in.wire, req); err != nil {
			return fault.Field(fault.CodeValidationFailed, "", "protobuf", "the body is not a %s", req.ProtoReflect().Descriptor().FullName())
		}
		return nil
	}
	wire := in.wire
	if len(wire) == 0 {
		wire = []byte("{}")
	}
	if err := (protojson.UnmarshalOptions{RecursionLimit: strictjson.MaxDepth}).Unmarshal(wire, req); err != nil {
		return fault.Field(fault.CodeValidationFailed, "", "json", "the body does not fit the contract: %s", readable(err))
	}
	return nil
}

var preamble = regexp.MustCompile(`^proto:[\s\x{a0}]+(\(line \d+:\d+\): )?`)

// readable is a message of protojson without what it adds to keep programs
// from depending on it.
func readable(err error) string { return preamble.ReplaceAllString(err.Error(), "$1") }
