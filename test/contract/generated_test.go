package contract_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/feddi/feddi/contracts"
)

// The descriptors with the comments and the generated Go come from one
// generation: whoever regenerates only one of them sees it here.
func TestGeneratedGoMatchesTheDescriptors(t *testing.T) {
	t.Parallel()
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(contracts.Descriptors(), &set); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range set.GetFile() {
		linked, err := protoregistry.GlobalFiles.FindFileByPath(file.GetName())
		if err != nil {
			continue // a contract of another process, not linked into this test
		}
		compared++
		file.SourceCodeInfo = nil
		if !proto.Equal(file, protodesc.ToFileDescriptorProto(linked)) {
			t.Errorf("%s: contracts/gen is not of one generation; run go generate ./contracts", file.GetName())
		}
	}
	if compared < 20 {
		t.Errorf("compared %d files", compared)
	}
}
