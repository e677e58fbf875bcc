package wire

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk/internal/anything"
)

// TestAppendBatch: what is sent over a stream is, byte for byte, what the
// generated code would send.
func TestAppendBatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		batch := make([]actuation.Snapshot, rapid.IntRange(0, 3).Draw(t, "n"))
		for i := range batch {
			anything.Fill(t, &batch[i])
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(PlanBatchRequest(batch))
		if err != nil {
			t.Fatal(err)
		}
		var got actuatorv1.PlanBatchRequest
		raw := AppendBatch(nil, batch)
		if err := proto.Unmarshal(raw, &got); err != nil || !proto.Equal(&got, PlanBatchRequest(batch)) {
			t.Fatalf("%v\n%q\n%q", err, want, raw)
		}
		if len(raw) != len(want) {
			t.Fatalf("%d bytes instead of %d", len(raw), len(want))
		}
	})
}

// TestReadPlans: an encoded answer is read as the generated code would.
func TestReadPlans(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var answer actuatorv1.PlanBatchResponse
		anything.FillMessage(t, &answer)
		raw, err := proto.Marshal(&answer)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadPlans(raw, 0)
		if want := Plans(&answer); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\n%+v\n%+v", err, want, got)
		}
		agree(t, anything.Damage(t, raw))
	})
}

// agree: what the generated code refuses is refused, and what it does not is
// read in the same way.
func agree(t *rapid.T, raw []byte) {
	var message actuatorv1.PlanBatchResponse
	refused := proto.Unmarshal(raw, &message)
	got, err := ReadPlans(raw, 0)
	if (refused == nil) != (err == nil) {
		t.Fatalf("%q: %v instead of %v", raw, err, refused)
	}
	if err == nil && len(got) != len(message.GetPlans()) {
		t.Fatalf("%q: %d plans instead of %d", raw, len(got), len(message.GetPlans()))
	}
}
