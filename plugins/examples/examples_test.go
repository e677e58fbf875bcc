package examples_test

import (
	"bytes"
	"os"
	"testing"
)

// TestTheNodeExampleHasTheContract: its copy is the published one.
func TestTheNodeExampleHasTheContract(t *testing.T) {
	t.Parallel()
	published, err := os.ReadFile("../../contracts/proto/feddi/actuator/v1/actuator.proto")
	if err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile("punchcard-node/actuator.proto")
	if err != nil || !bytes.Equal(published, copied) {
		t.Errorf("copy contracts/proto/feddi/actuator/v1/actuator.proto to plugins/examples/punchcard-node (%v)", err)
	}
}
