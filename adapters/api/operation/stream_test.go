package operation_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/feddi/feddi/adapters/api/operation"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// one is a surface of one file.
type one struct{ file protoreflect.FileDescriptor }

func (o one) RangeFilesByPackage(_ protoreflect.FullName, yield func(protoreflect.FileDescriptor) bool) {
	yield(o.file)
}

// load reads the incentives' contract as change makes it.
func load(t *testing.T, change func(f *descriptorpb.FileDescriptorProto, stream *descriptorpb.MethodDescriptorProto)) (*operation.Catalogue, error) {
	t.Helper()
	f := protodesc.ToFileDescriptorProto(partnerv1.File_feddi_partner_v1_incentives_service_proto)
	for _, m := range f.GetService()[0].GetMethod() {
		if m.GetName() == "StreamEvaluateOffers" {
			change(f, m)
		}
	}
	file, err := protodesc.NewFile(f, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return operation.Load(one{file}, "feddi.partner.v1")
}

// A stream belongs to its operation and is none: it is not listed, and its
// procedure leads to the operation.
func TestAStreamIsNoOperation(t *testing.T) {
	t.Parallel()
	with, err := load(t, func(*descriptorpb.FileDescriptorProto, *descriptorpb.MethodDescriptorProto) {})
	if err != nil {
		t.Fatal(err)
	}
	without, err := load(t, func(_ *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto) {
		proto.ClearExtension(m.GetOptions(), optionsv1.E_Streams)
	})
	if err != nil {
		t.Fatal(err)
	}
	o := with.ID("evaluateOffers")
	if len(with.All) != len(without.All) || o.Stream == nil || with.Procedure(o.Stream.Procedure) != o || with.Procedure(o.Procedure) != o || with.ID("streamEvaluateOffers") != nil {
		t.Errorf("%d operations, %d without the stream; %+v", len(with.All), len(without.All), o.Stream)
	}
	if o := without.ID("evaluateOffers"); o.Stream != nil {
		t.Errorf("%+v", o.Stream)
	}
}

// The messages of a stream are made of what the operation reports and answers.
func TestMessagesOfAStream(t *testing.T) {
	t.Parallel()
	c, err := operation.Load(protoregistry.GlobalFiles, "feddi.partner.v1")
	if err != nil {
		t.Fatal(err)
	}
	o := c.ID("evaluateOffers")
	answer := &partnerv1.EvaluateOffersResponse{Truncated: []string{"time"}}
	progress := &partnerv1.EvaluateOffersProgress{CasesDone: 1}
	if m, ok := o.Stream.Answer(answer).(*partnerv1.StreamEvaluateOffersResponse); !ok || m.GetAnswer() != answer {
		t.Errorf("%v", m)
	}
	if m, ok := o.Stream.Progress(progress).(*partnerv1.StreamEvaluateOffersResponse); !ok || m.GetProgress() != progress {
		t.Errorf("%v", m)
	}
}

// A stream that is not its operation's by another way in is a contradiction of
// the contract, which no server starts with.
func TestStreamsThatContradict(t *testing.T) {
	t.Parallel()
	names := func(m *descriptorpb.MethodDescriptorProto, id string) {
		proto.SetExtension(m.GetOptions(), optionsv1.E_Streams, id)
	}
	for problem, change := range map[string]func(f *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto){
		"which is no operation": func(_ *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto) { names(m, "nothing") },
		"does not take one message and answer many": func(_ *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto) {
			m.ServerStreaming = nil
		},
		"evaluateOffers, but does not take": func(_ *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto) {
			m.ClientStreaming = proto.Bool(true)
		},
		"getGrant takes": func(_ *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto) { names(m, "getGrant") },
		"is an operation and streams": func(_ *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto) {
			proto.SetExtension(m.GetOptions(), optionsv1.E_Operation, &optionsv1.Operation{Id: "streamEvaluateOffers"})
		},
		"both stream evaluateOffers": func(f *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto) {
			again := proto.CloneOf(m)
			again.Name = proto.String("StreamAgain")
			f.Service[0].Method = append(f.Service[0].Method, again)
		},
		"of another service": func(f *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto) {
			f.Service = append(f.Service, &descriptorpb.ServiceDescriptorProto{Name: proto.String("OtherService"), Method: []*descriptorpb.MethodDescriptorProto{m}})
			f.Service[0].Method = without(f.GetService()[0].GetMethod(), m)
		},
		"needs one oneof of how far it is": func(f *descriptorpb.FileDescriptorProto, _ *descriptorpb.MethodDescriptorProto) {
			for _, m := range f.GetMessageType() {
				if m.GetName() == "StreamEvaluateOffersResponse" {
					m.Field = m.GetField()[:1]
				}
			}
		},
		"is no message in a oneof": func(_ *descriptorpb.FileDescriptorProto, m *descriptorpb.MethodDescriptorProto) {
			m.OutputType = proto.String(".feddi.partner.v1.EvaluateOffersProgress")
		},
		"an operation takes one message and answers one": func(f *descriptorpb.FileDescriptorProto, _ *descriptorpb.MethodDescriptorProto) {
			f.GetService()[0].GetMethod()[0].ServerStreaming = proto.Bool(true)
		},
	} {
		if _, err := load(t, change); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q is not among %v", problem, err)
		}
	}
}

func without(all []*descriptorpb.MethodDescriptorProto, one *descriptorpb.MethodDescriptorProto) (out []*descriptorpb.MethodDescriptorProto) {
	for _, m := range all {
		if m != one {
			out = append(out, m)
		}
	}
	return out
}
