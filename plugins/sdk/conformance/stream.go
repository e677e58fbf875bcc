package conformance

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/plugins/sdk/wire"
)

// streams asks over PlanStream what PlanBatch was asked. An actuator that serves
// no streams holds to the contract as well.
func (b *bundle) streams(t T) {
	batch := b.batch(today)
	want := b.ask(t, wire.PlanBatchRequest(batch))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := b.Client.PlanStream(ctx)
	if status.Code(err) == codes.Unimplemented {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for call := range uint64(3) {
		got, err := say(stream, &actuatorv1.PlanStreamRequest{Call: call + 7, TimeLimitUs: patience.Microseconds(), Batch: wire.AppendBatch(nil, batch)})
		if status.Code(err) == codes.Unimplemented && call == 0 {
			return
		}
		if err != nil {
			t.Fatalf("call %d of a stream: %v", call, err)
		}
		mustEqual(t, "asked over a stream", want, got)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("a stream that the host ends must end without an error, not with %v", err)
	}
}

// say makes one call of a stream and returns the plans in the order of their ids.
func say(stream grpc.BidiStreamingClient[actuatorv1.PlanStreamRequest, actuatorv1.PlanStreamResponse], req *actuatorv1.PlanStreamRequest) ([]*actuatorv1.Plan, error) {
	if err := stream.Send(req); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	res, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if res.GetCall() != req.GetCall() {
		return nil, errors.New("the answer is that of another call")
	}
	var answer actuatorv1.PlanBatchResponse
	if err := proto.Unmarshal(res.GetAnswer(), &answer); err != nil {
		return nil, err
	}
	plans := answer.GetPlans()
	slices.SortStableFunc(plans, func(x, y *actuatorv1.Plan) int { return strings.Compare(x.GetSnapshotId(), y.GetSnapshotId()) })
	return plans, nil
}
