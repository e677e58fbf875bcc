package sdk

import (
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/plugins/sdk/internal/anything"
)

// TestReadBatch: a batch that came over a stream is read as the generated code
// would.
func TestReadBatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var request actuatorv1.PlanBatchRequest
		anything.FillMessage(t, &request)
		raw, err := proto.Marshal(&request)
		if err != nil {
			t.Fatal(err)
		}
		want := []Snapshot{}
		for _, s := range request.GetSnapshots() {
			want = append(want, fromWire(s))
		}
		if got, err := readBatch(raw); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\n%+v\n%+v", err, want, got)
		}
		raw = anything.Damage(t, raw)
		refused := proto.Unmarshal(raw, &request)
		if _, err := readBatch(raw); (refused == nil) != (err == nil) {
			t.Fatalf("%q: %v instead of %v", raw, err, refused)
		}
	})
}

// TestAppendAnswer: an answer that leaves over a stream is what the generated
// code would send, errors and texts that are none included.
func TestAppendAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var a answer
		anything.Fill(t, &a.Plan)
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			a.err = &Error{Code: "no_such_profile", Message: "unknown profile", Field: "facts.profile", Retryable: true}
		case 1:
			a.err = errors.New("\xff")
		case 2:
			a.Refusal = "\xff"
		}
		raw, err := appendAnswer(nil, &a)
		if err != nil {
			t.Fatal(err)
		}
		var got actuatorv1.PlanBatchResponse
		want := &actuatorv1.PlanBatchResponse{Plans: []*actuatorv1.Plan{a.wire()}}
		if err := proto.Unmarshal(raw, &got); err != nil || !proto.Equal(&got, want) {
			t.Fatalf("%v\n%v\n%v", err, want, &got)
		}
	})
}
