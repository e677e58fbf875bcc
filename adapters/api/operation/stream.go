package operation

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
)

// Stream is the RPC that does an operation over Connect and tells meanwhile how
// far it is. It is no operation of its own. Immutable.
type Stream struct {
	// Procedure is the Connect path.
	Procedure string
	// RPC is the descriptor.
	RPC protoreflect.MethodDescriptor

	step             protoreflect.MessageType
	progress, answer protoreflect.FieldDescriptor
}

// Progress is a message of the stream that says how far the operation is. It
// panics where m is not of the type that the contract says.
func (s *Stream) Progress(m proto.Message) proto.Message { return s.with(s.progress, m) }

// Answer is the last message of the stream, made of the operation's response.
func (s *Stream) Answer(m proto.Message) proto.Message { return s.with(s.answer, m) }

func (s *Stream) with(member protoreflect.FieldDescriptor, m proto.Message) proto.Message {
	out := s.step.New()
	out.Set(member, protoreflect.ValueOfMessage(m.ProtoReflect()))
	return out.Interface()
}

// streamed is the id of the operation that an RPC streams; empty for none.
func streamed(rpc protoreflect.MethodDescriptor) string {
	id, _ := proto.GetExtension(rpc.Options(), optionsv1.E_Streams).(string)
	return id
}

// attach makes rpc the stream of the operation that it names.
func (c *Catalogue) attach(rpc protoreflect.MethodDescriptor) error {
	o := c.byID[streamed(rpc)]
	s := &Stream{Procedure: procedureOf(rpc), RPC: rpc}
	switch {
	case proto.HasExtension(rpc.Options(), optionsv1.E_Operation):
		return fmt.Errorf("%s is an operation and streams %s; it can be one of them", s.Procedure, streamed(rpc))
	case o == nil:
		return fmt.Errorf("%s streams %s, which is no operation", s.Procedure, streamed(rpc))
	case o.RPC.Parent() != rpc.Parent():
		return fmt.Errorf("%s streams %s of another service", s.Procedure, o.ID)
	case !rpc.IsStreamingServer() || rpc.IsStreamingClient():
		return fmt.Errorf("%s streams %s, but does not take one message and answer many", s.Procedure, o.ID)
	case rpc.Input() != o.Input:
		return fmt.Errorf("%s takes %s; %s takes %s", s.Procedure, rpc.Input().FullName(), o.ID, o.Input.FullName())
	case o.Options.GetRaw():
		return fmt.Errorf("%s streams %s, which is served as it is", s.Procedure, o.ID)
	case o.Stream != nil:
		return fmt.Errorf("%s and %s both stream %s", s.Procedure, o.Stream.Procedure, o.ID)
	}
	if err := s.members(o); err != nil {
		return err
	}
	o.Stream = s
	c.byProcedure[s.Procedure] = o
	return nil
}

// members finds the two members of the stream's messages.
func (s *Stream) members(o *Operation) (err error) {
	fields := s.RPC.Output().Fields()
	for i := range fields.Len() {
		switch f := fields.Get(i); {
		case f.Message() == nil || f.IsList() || f.IsMap() || f.ContainingOneof() == nil:
			return fmt.Errorf("%s: %s is no message in a oneof", s.Procedure, f.FullName())
		case f.Message() == o.Output:
			s.answer = f
		default:
			s.progress = f
		}
	}
	if fields.Len() != 2 || s.answer == nil || s.progress == nil || s.answer.ContainingOneof() != s.progress.ContainingOneof() {
		return fmt.Errorf("%s: %s needs one oneof of how far it is and %s", s.Procedure, s.RPC.Output().FullName(), o.Output.FullName())
	}
	s.step, err = protoregistry.GlobalTypes.FindMessageByName(s.RPC.Output().FullName())
	return err
}
