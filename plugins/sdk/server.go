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
	batch := make([]Snapshot, len(req.GetSnapshots()))
	for i, in := range req.GetSnapshots() {
		batch[i] = fromWire(in)
	}
	answers, err := s.plan(ctx, batch)
	if err != nil {
		return nil, err
	}
	res := &actuatorv1.PlanBatchResponse{Plans: make([]*actuatorv1.Plan, len(answers))}
	for i := range answers {
		res.Plans[i] = answers[i].wire()
	}
	return res, nil
}

// answer is what one snapshot gets: a plan, or why there is none.
type answer struct {
	Plan

	err error
}

// wire writes an answer. A plan whose texts protobuf cannot carry becomes an
// error: it must not make the answer of the whole batch unreadable.
func (a *answer) wire() *actuatorv1.Plan {
	switch {
	case a.err != nil:
		return &actuatorv1.Plan{SnapshotId: a.SnapshotID, Error: wireError(a.err)}
	case !a.readable():
		return &actuatorv1.Plan{SnapshotId: clean(a.SnapshotID), Error: &actuatorv1.Error{Code: CodeInternal, Message: "a text of the plan is not valid UTF-8"}}
	}
	return wirePlan(&a.Plan)
}

// plan answers a batch. Errors: the status of a call that failed as a whole.
func (s *server) plan(ctx context.Context, batch []Snapshot) ([]answer, error) {
	answers := make([]answer, 0, len(batch))
	if batcher, ok := s.actuator.(BatchPlanner); ok {
		return s.planTogether(ctx, batcher, batch, answers)
	}
	for i := range batch {
		if err := ctx.Err(); err != nil {
			return nil, statusOf(ctx, err)
		}
		plan, err := s.planOne(ctx, &batch[i])
		if err != nil && ctx.Err() != nil {
			return nil, statusOf(ctx, err)
		}
		plan.SnapshotID = batch[i].ID
		answers = append(answers, answer{plan, err})
	}
	return answers, nil
}

func (s *server) planOne(ctx context.Context, in *Snapshot) (plan Plan, err error) {
	if err := s.serves(in); err != nil {
		return Plan{}, err
	}
	defer rescue(&err)
	return s.actuator.Plan(ctx, *in)
}

func (s *server) serves(in *Snapshot) error {
	if slices.Contains(s.kinds, in.Kind) {
		return nil
	}
	return &Error{Code: CodeUnsupportedKind, Field: "kind", Message: fmt.Sprintf("decision kind %.64q was not declared", in.Kind)}
}

func (s *server) planTogether(ctx context.Context, batcher BatchPlanner, batch []Snapshot, answers []answer) ([]answer, error) {
	served := make([]Snapshot, 0, len(batch))
	for i := range batch {
		if err := s.serves(&batch[i]); err != nil {
			answers = append(answers, answer{Plan{SnapshotID: batch[i].ID}, err})
			continue
		}
		served = append(served, batch[i])
	}
	if err := ctx.Err(); err != nil {
		return nil, statusOf(ctx, err)
	}
	if len(served) == 0 {
		return answers, nil
	}
	plans, err := planBatch(ctx, batcher, served)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	for i := range plans {
		answers = append(answers, answer{Plan: plans[i]})
	}
	return answers, nil
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
