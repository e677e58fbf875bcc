package sdk

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"google.golang.org/grpc"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
)

// NewServer returns a as the server of the wire contract. Serve does it for a
// process; tests and unusual hosts do it themselves.
func NewServer(a Actuator) actuatorv1.ActuatorServer {
	m := a.Describe()
	return &server{actuator: a, kinds: m.DecisionKinds, commands: m.CommandKinds}
}

// Register serves a on a gRPC server.
func Register(s grpc.ServiceRegistrar, a Actuator) {
	actuatorv1.RegisterActuatorServer(s, NewServer(a))
}

// server speaks the contract for one actuator.
type server struct {
	actuatorv1.UnimplementedActuatorServer

	actuator Actuator
	kinds    []Kind
	commands []string
}

func (s *server) Describe(context.Context, *actuatorv1.DescribeRequest) (*actuatorv1.DescribeResponse, error) {
	return &actuatorv1.DescribeResponse{Manifest: wireManifest(s.actuator.Describe())}, nil
}

func (s *server) PlanBatch(ctx context.Context, req *actuatorv1.PlanBatchRequest) (*actuatorv1.PlanBatchResponse, error) {
	res := &actuatorv1.PlanBatchResponse{Plans: make([]*actuatorv1.Plan, 0, len(req.GetSnapshots()))}
	if batcher, ok := s.actuator.(BatchPlanner); ok {
		return s.planTogether(ctx, batcher, req, res)
	}
	for _, in := range req.GetSnapshots() {
		if err := ctx.Err(); err != nil {
			return nil, statusOf(ctx, err)
		}
		out, err := s.planOne(ctx, in)
		if err != nil && ctx.Err() != nil {
			return nil, statusOf(ctx, err)
		}
		if err != nil {
			out = &actuatorv1.Plan{SnapshotId: in.GetId(), Error: wireError(err)}
		}
		res.Plans = append(res.Plans, out)
	}
	return res, nil
}

func (s *server) planOne(ctx context.Context, in *actuatorv1.Snapshot) (out *actuatorv1.Plan, err error) {
	if err := s.serves(in); err != nil {
		return nil, err
	}
	defer rescue(&err)
	plan, err := s.actuator.Plan(ctx, fromWire(in))
	if err != nil {
		return nil, err
	}
	plan.SnapshotID = in.GetId()
	return answer(&plan), nil
}

// answer writes a plan, or the error of one whose texts protobuf cannot carry:
// that must not make the answer of the whole batch unreadable.
func answer(p *Plan) *actuatorv1.Plan {
	if p.readable() {
		return wirePlan(p)
	}
	return &actuatorv1.Plan{SnapshotId: clean(p.SnapshotID), Error: &actuatorv1.Error{Code: CodeInternal, Message: "a text of the plan is not valid UTF-8"}}
}

func (s *server) serves(in *actuatorv1.Snapshot) error {
	if slices.Contains(s.kinds, Kind(in.GetKind())) {
		return nil
	}
	return &Error{Code: CodeUnsupportedKind, Field: "kind", Message: fmt.Sprintf("decision kind %.64q was not declared", in.GetKind())}
}

func (s *server) planTogether(ctx context.Context, batcher BatchPlanner, req *actuatorv1.PlanBatchRequest, res *actuatorv1.PlanBatchResponse) (_ *actuatorv1.PlanBatchResponse, err error) {
	batch := make([]Snapshot, 0, len(req.GetSnapshots()))
	for _, in := range req.GetSnapshots() {
		if err := s.serves(in); err != nil {
			res.Plans = append(res.Plans, &actuatorv1.Plan{SnapshotId: in.GetId(), Error: wireError(err)})
			continue
		}
		batch = append(batch, fromWire(in))
	}
	if err := ctx.Err(); err != nil {
		return nil, statusOf(ctx, err)
	}
	if len(batch) == 0 {
		return res, nil
	}
	plans, err := planBatch(ctx, batcher, batch)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	for i := range plans {
		res.Plans = append(res.Plans, answer(&plans[i]))
	}
	return res, nil
}

func planBatch(ctx context.Context, batcher BatchPlanner, batch []Snapshot) (plans []Plan, err error) {
	defer rescue(&err)
	return batcher.PlanBatch(ctx, batch)
}

func (s *server) Execute(ctx context.Context, req *actuatorv1.ExecuteRequest) (*actuatorv1.ExecuteResponse, error) {
	executor, ok := s.actuator.(Executor)
	if !ok || !slices.Contains(s.commands, req.GetKind()) {
		return nil, statusOf(ctx, &Error{Code: CodeUnsupportedKind, Field: "kind", Message: fmt.Sprintf("command kind %.64q was not declared", req.GetKind())})
	}
	receipt, err := execute(ctx, executor, commandFromWire(req))
	if err == nil && !valid(receipt.Reference) {
		err = &Error{Code: CodeInternal, Message: "the reference is not valid UTF-8"}
	}
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	return &actuatorv1.ExecuteResponse{Reference: receipt.Reference, ResultJson: receipt.Result, FactsJson: receipt.Facts}, nil
}

func execute(ctx context.Context, executor Executor, c Command) (receipt Receipt, err error) {
	defer rescue(&err)
	return executor.Execute(ctx, c)
}

// rescue turns a panic of the author's code into an error of that call: one
// snapshot that it cannot read must not take the process and the other
// snapshots down.
func rescue(err *error) {
	if cause := recover(); cause != nil {
		*err = &Error{Code: CodeInternal, Message: fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())}
	}
}
