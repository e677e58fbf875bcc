package contract_test

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/feddi/feddi/adapters/api"
	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
)

// methods are the RPCs of the partner surface.
func methods() (out []protoreflect.MethodDescriptor) {
	protoregistry.GlobalFiles.RangeFilesByPackage("feddi.partner.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			all := f.Services().Get(i).Methods()
			for j := range all.Len() {
				out = append(out, all.Get(j))
			}
		}
		return true
	})
	return out
}

// Every RPC is an operation or the stream of one. A stream takes its operation's
// request, answers its response at last, and is not counted: neither the
// catalogue nor the document has it as an operation.
func TestEveryRPCIsAnOperationOrItsStream(t *testing.T) {
	t.Parallel()
	c, err := api.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	operations, streams := 0, 0
	for _, m := range methods() {
		id, _ := proto.GetExtension(m.Options(), optionsv1.E_Streams).(string)
		if proto.HasExtension(m.Options(), optionsv1.E_Operation) {
			operations++
		}
		if proto.HasExtension(m.Options(), optionsv1.E_Operation) == (id != "") || m.IsStreamingServer() != (id != "") || m.IsStreamingClient() {
			t.Errorf("%s must be an operation, or the stream of one", m.FullName())
		}
		if id == "" {
			continue
		}
		streams++
		o := c.ID(id)
		if o == nil || o.Stream == nil || o.Stream.RPC.FullName() != m.FullName() || o.Input != m.Input() || o.RPC.Parent() != m.Parent() {
			t.Errorf("%s is not the stream of %s", m.FullName(), id)
			continue
		}
		if answer := m.Output().Fields().ByName("answer"); answer == nil || answer.Message() != o.Output {
			t.Errorf("%s does not end with the answer of %s", m.FullName(), id)
		}
		if "Stream"+string(o.RPC.Name()) != string(m.Name()) {
			t.Errorf("%s streams %s; call it Stream%s", m.FullName(), id, o.RPC.Name())
		}
	}
	if operations != len(c.All) || streams == 0 {
		t.Errorf("%d operations of %d are in the catalogue, %d streams", len(c.All), operations, streams)
	}
}

// The document tells of a stream at its operation, and has no path for it.
func TestTheDocumentTellsOfStreams(t *testing.T) {
	t.Parallel()
	var d struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Stream      string `json:"x-stream"`
		}
	}
	if err := json.Unmarshal(document(t), &d); err != nil {
		t.Fatal(err)
	}
	c, err := api.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	described := 0
	for _, o := range c.All {
		shown := d.Paths[o.PublicPath()][strings.ToLower(o.Method)]
		want := ""
		if o.Stream != nil {
			want = o.Stream.Procedure
		}
		if shown.OperationID != o.ID || shown.Stream != want {
			t.Errorf("%s is described as %+v, want the stream %q", o.ID, shown, want)
		}
	}
	for _, verbs := range d.Paths {
		described += len(verbs)
	}
	if described != len(c.All) {
		t.Errorf("%d operations are described, want %d", described, len(c.All))
	}
}
