package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/handshake"
	"github.com/feddi/feddi/plugins/sdk/wire"
)

// patience is how long a call may take before the suite says that it hangs.
const patience = 20 * time.Second

// Suite is what an actuator is examined with.
type Suite struct {
	// Client reaches the actuator.
	Client actuatorv1.ActuatorClient
	// Fresh makes another one of the same actuator that remembers nothing of
	// what the first was asked; nil where there is no way to make one.
	Fresh func(T) actuatorv1.ActuatorClient
	// Snapshots are asked beside those that the suite makes; ids are unique.
	Snapshots []sdk.Snapshot
	// Commands are executed, each twice; needed where command kinds are declared,
	// unless NoCommands says that the outside world is not to be touched.
	Commands   []sdk.Command
	NoCommands bool
}

// bundle is one run of the suite.
type bundle struct {
	*Suite

	manifest actuation.Manifest
}

// Run examines the actuator. It stops after the first check where the actuator
// does not even describe itself.
func (s *Suite) Run(t T) {
	t.Helper()
	b := &bundle{Suite: s}
	if !t.Run("describes itself", b.describes) {
		return
	}
	t.Run("plans hold to the rules", b.plansHold)
	t.Run("reads no clock", b.readsNoClock)
	t.Run("equal facts give equal plans", b.deterministic)
	t.Run("tolerates what it does not know", b.tolerant)
	t.Run("survives nonsense", b.survives)
	t.Run("errors keep their type", b.typedErrors)
	t.Run("honours deadlines", b.deadlines)
	t.Run("serves concurrent calls", b.concurrent)
	t.Run("streams what it answers to calls", b.streams)
	t.Run("executes commands once", b.executesOnce)
}

func (b *bundle) describes(t T) {
	req := &actuatorv1.DescribeRequest{HostVersion: "sdktest", ProtocolVersion: handshake.Version}
	first, err := b.Client.Describe(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Client.Describe(t.Context(), req)
	if err != nil || !proto.Equal(first, second) {
		t.Fatalf("asked twice, it described itself differently (%v):\n%v\n%v", err, first, second)
	}
	b.manifest = wire.Manifest(first.GetManifest()).Known()
	if err := b.manifest.Validate(); err != nil {
		t.Fatal(err)
	}
}

// batch is every snapshot that the suite knows, at the instant at for its own.
func (b *bundle) batch(at time.Time) []actuation.Snapshot {
	out := corpus(b.manifest.DecisionKinds, at)
	for _, s := range b.Snapshots {
		out = append(out, fromAuthor(s))
	}
	return out
}

// ask plans a batch and returns the answers in the order of their ids.
func (b *bundle) ask(t T, req *actuatorv1.PlanBatchRequest) []*actuatorv1.Plan {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := b.Client.PlanBatch(ctx, req)
	if err != nil {
		t.Fatalf("PlanBatch: %v", err)
	}
	plans := slices.Clone(res.GetPlans())
	slices.SortStableFunc(plans, func(x, y *actuatorv1.Plan) int { return strings.Compare(x.GetSnapshotId(), y.GetSnapshotId()) })
	return plans
}

// prove asks for plans and has the core prove each. Of each rule that is broken
// it reports the smallest snapshot that breaks it.
func (b *bundle) prove(t T, batch []actuation.Snapshot, hint string) (decided int) {
	t.Helper()
	res := &actuatorv1.PlanBatchResponse{Plans: b.ask(t, wire.PlanBatchRequest(batch))}
	plans := map[string]actuation.Plan{}
	for _, p := range wire.Plans(res) {
		if _, twice := plans[p.SnapshotID]; twice {
			t.Errorf("snapshot %s was answered twice", p.SnapshotID)
		}
		plans[p.SnapshotID] = p
	}
	first, times := map[actuation.Rule]actuation.Snapshot{}, map[actuation.Rule]int{}
	for _, s := range batch {
		p, answered := plans[s.ID]
		if !answered {
			t.Errorf("snapshot %s was not answered", s.ID)
			continue
		}
		err := actuation.Validate(b.manifest, s, p)
		if r := actuation.RejectionOf(err); r != nil {
			if times[r.Rule]++; times[r.Rule] == 1 {
				first[r.Rule] = s
			}
		}
		if err == nil {
			decided++
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(first)) {
		b.reportBroken(t, rule, first[rule], plans[first[rule].ID], fmt.Sprintf("(%d of %d snapshots)%s", times[rule], len(batch), hint))
	}
	return decided
}

// reportBroken reports a rule by the smallest snapshot whose plan breaks it: s,
// planned as p, or a smaller one.
func (b *bundle) reportBroken(t T, rule actuation.Rule, s actuation.Snapshot, p actuation.Plan, context string) {
	t.Helper()
	said := actuation.RejectionOf(actuation.Validate(b.manifest, s, p))
	smallest := shrink(s, func(c actuation.Snapshot) bool {
		plan, ok := b.one(t, c)
		r := actuation.RejectionOf(actuation.Validate(b.manifest, c, plan))
		if !ok || r == nil || r.Rule != rule {
			return false
		}
		p, said = plan, r
		return true
	})
	t.Errorf("%v %s\nsmallest failing snapshot: %s\nplan: %s", said, context, show(smallest), show(p))
}

// one asks a single snapshot; false where it is not answered.
func (b *bundle) one(t T, s actuation.Snapshot) (actuation.Plan, bool) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := b.Client.PlanBatch(ctx, wire.PlanBatchRequest([]actuation.Snapshot{s}))
	if err != nil || len(res.GetPlans()) != 1 {
		return actuation.Plan{}, false
	}
	return wire.Plans(res)[0], true
}

func show(v any) string {
	raw, _ := json.Marshal(v)
	return string(raw)
}

func (b *bundle) plansHold(t T) {
	batch := b.batch(today)
	if b.prove(t, append(batch, wide(b.manifest.DecisionKinds)...), "") == 0 {
		t.Errorf("none of %d snapshots was decided; if it needs settings or facts of its own, give some with sdktest.Snapshots", len(batch))
	}
	if empty := b.ask(t, &actuatorv1.PlanBatchRequest{}); len(empty) != 0 {
		t.Errorf("an empty batch was answered with %d plans", len(empty))
	}
}

// readsNoClock moves the present far away: an actuator that asks the system
// for the time then grants what has expired or expires in the past.
func (b *bundle) readsNoClock(t T) {
	for _, at := range []time.Time{today.AddDate(-25, 0, 0), today.AddDate(60, 0, 0)} {
		b.prove(t, corpus(b.manifest.DecisionKinds, at), "\nthe snapshot's time is "+at.Format(time.RFC3339)+": does the actuator read a clock instead of Snapshot.At?")
	}
}

func (b *bundle) deterministic(t T) {
	batch := b.batch(today)
	want := b.ask(t, wire.PlanBatchRequest(batch))
	b.equal(t, "asked again", batch, want, b.ask(t, wire.PlanBatchRequest(batch)), nil)

	slices.Reverse(batch)
	mustEqual(t, "asked in another order", want, b.ask(t, wire.PlanBatchRequest(batch)))

	var single []*actuatorv1.Plan
	for _, s := range batch {
		single = append(single, b.ask(t, wire.PlanBatchRequest([]actuation.Snapshot{s}))...)
	}
	slices.SortStableFunc(single, func(x, y *actuatorv1.Plan) int { return strings.Compare(x.GetSnapshotId(), y.GetSnapshotId()) })
	mustEqual(t, "asked one by one", want, single)

	if b.Fresh != nil {
		fresh := &bundle{Suite: &Suite{Client: b.Fresh(t)}, manifest: b.manifest}
		mustEqual(t, "asked of a fresh one", want, fresh.ask(t, wire.PlanBatchRequest(batch)))
	}
}

// equal compares plans as mustEqual does, and shows the first difference by the
// smallest snapshot that, asked twice, the second time with change, is planned
// differently.
func (b *bundle) equal(t T, how string, batch []actuation.Snapshot, want, got []*actuatorv1.Plan, change func(*actuatorv1.Snapshot)) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s, it gave %d plans instead of %d", how, len(got), len(want))
	}
	different, first := 0, 0
	for i := range want {
		if !proto.Equal(want[i], got[i]) {
			if different++; different == 1 {
				first = i
			}
		}
	}
	if different == 0 {
		return
	}
	s := batch[slices.IndexFunc(batch, func(s actuation.Snapshot) bool { return s.ID == want[first].GetSnapshotId() })]
	one, other := want[first], got[first]
	smallest := shrink(s, func(c actuation.Snapshot) bool {
		x, y := b.twice(t, c, change)
		if x == nil || y == nil || proto.Equal(x, y) {
			return false
		}
		one, other = x, y
		return true
	})
	t.Errorf("%s, the plan differs (%d of %d snapshots)\nsmallest failing snapshot: %s\none plan: %v\nthe other: %v", how, different, len(want), show(smallest), one, other)
}

// twice asks a single snapshot twice, the second time with change; nil where it
// is not answered.
func (b *bundle) twice(t T, s actuation.Snapshot, change func(*actuatorv1.Snapshot)) (first, second *actuatorv1.Plan) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answers := make([]*actuatorv1.Plan, 2)
	for i := range answers {
		req := wire.PlanBatchRequest([]actuation.Snapshot{s})
		if i == 1 && change != nil {
			change(req.GetSnapshots()[0])
		}
		res, err := b.Client.PlanBatch(ctx, req)
		if err != nil || len(res.GetPlans()) != 1 {
			return nil, nil
		}
		answers[i] = res.GetPlans()[0]
	}
	return answers[0], answers[1]
}

func mustEqual(t T, how string, want, got []*actuatorv1.Plan) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s, it gave %d plans instead of %d", how, len(got), len(want))
	}
	for i := range want {
		if !proto.Equal(want[i], got[i]) {
			t.Errorf("%s, the plan for %s differs:\n%v\n%v", how, want[i].GetSnapshotId(), want[i], got[i])
		}
	}
}

func (b *bundle) tolerant(t T) {
	batch := b.batch(today)
	want := b.ask(t, wire.PlanBatchRequest(batch))
	req := wire.PlanBatchRequest(batch)
	unknown := protowire.AppendString(protowire.AppendTag(nil, 9999, protowire.BytesType), "from a newer host")
	req.ProtoReflect().SetUnknown(unknown)
	newer := func(s *actuatorv1.Snapshot) {
		s.ProtoReflect().SetUnknown(unknown)
		s.GetWallet().ProtoReflect().SetUnknown(unknown)
		for _, l := range s.GetLots() {
			l.ProtoReflect().SetUnknown(unknown)
		}
		s.SettingsJson = withMember(t, s.GetSettingsJson())
		s.FactsJson = withMember(t, s.GetFactsJson())
	}
	for _, s := range req.GetSnapshots() {
		newer(s)
	}
	b.equal(t, "given unknown fields and members", batch, want, b.ask(t, req), newer)
}

// withMember adds a member that nobody knows to a JSON object.
func withMember(t T, raw []byte) []byte {
	t.Helper()
	members := map[string]json.RawMessage{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &members); err != nil {
			t.Fatalf("a snapshot's settings or facts are not a JSON object: %s", raw)
		}
	}
	members["zz_from_a_newer_host"] = json.RawMessage(`{"deep":[1,2,{"a":null}]}`)
	out, _ := json.Marshal(members)
	return out
}

// survives sends what no host sends; each is answered, one way or the other,
// and sound snapshots are answered as before.
func (b *bundle) survives(t T) {
	sound := corpus(b.manifest.DecisionKinds, today)[:1]
	want := b.ask(t, wire.PlanBatchRequest(sound))
	for name, spoil := range map[string]func(*actuatorv1.Snapshot){
		"no facts at all": func(s *actuatorv1.Snapshot) {
			id, kind := s.GetId(), s.GetKind()
			proto.Reset(s)
			s.Id, s.Kind = id, kind
		},
		"broken JSON":      func(s *actuatorv1.Snapshot) { s.SettingsJson, s.FactsJson = []byte(`{"a":`), []byte(`{`) },
		"other JSON types": func(s *actuatorv1.Snapshot) { s.SettingsJson, s.FactsJson = []byte(`[1]`), []byte(`"x"`) },
		"negative amounts": func(s *actuatorv1.Snapshot) { s.AmountMinor, s.GetWallet().ActualMinor = -1<<63, -1<<63 },
		"extreme amounts":  func(s *actuatorv1.Snapshot) { s.AmountMinor, s.GetWallet().ActualMinor = 1<<63-1, 1<<63-1 },
		"no wallet, no at": func(s *actuatorv1.Snapshot) { s.Wallet, s.At = nil, nil },
		"strange currency": func(s *actuatorv1.Snapshot) { s.Currency = "" },
		"ten thousand lots": func(s *actuatorv1.Snapshot) {
			s.Lots = slices.Repeat([]*actuatorv1.Lot{{GrantId: "g", RemainingMinor: 1}}, 10_000)
		},
	} {
		t.Run(name, func(t T) {
			req := wire.PlanBatchRequest(sound)
			spoil(req.GetSnapshots()[0])
			if got := b.ask(t, req); len(got) != 1 || got[0].GetSnapshotId() != sound[0].ID {
				t.Errorf("got %d answers: %v", len(got), got)
			}
			mustEqual(t, "asked after it", want, b.ask(t, wire.PlanBatchRequest(sound)))
		})
	}
}

func (b *bundle) typedErrors(t T) {
	batch := corpus(b.manifest.DecisionKinds, today)[:1]
	foreign := batch[0]
	foreign.ID, foreign.Kind = "zz", "not_a_kind"
	plans := wire.Plans(&actuatorv1.PlanBatchResponse{Plans: b.ask(t, wire.PlanBatchRequest(append(batch, foreign)))})
	if len(plans) != 2 || plans[1].Failure == nil || plans[1].Failure.Code != sdk.CodeUnsupportedKind || plans[1].Failure.Field != "kind" {
		t.Fatalf("an undeclared decision kind must be answered with error %s at field kind, got %+v", sdk.CodeUnsupportedKind, plans)
	}
	if plans[0].Failure != nil && plans[0].Failure.Code == sdk.CodeUnsupportedKind {
		t.Errorf("the other snapshot suffered: %v", plans[0].Failure)
	}
	_, err := b.Client.Execute(t.Context(), &actuatorv1.ExecuteRequest{Kind: "not_a_kind", IdempotencyKey: "1"})
	if f := wire.Failure(err); f == nil || f.Code != sdk.CodeUnsupportedKind || f.Retryable || status.Code(err) != codes.Unimplemented {
		t.Errorf("an undeclared command kind must be answered with error %s, got %v", sdk.CodeUnsupportedKind, err)
	}
}

func (b *bundle) deadlines(t T) {
	batch := corpus(b.manifest.DecisionKinds, today)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Client.PlanBatch(gone, wire.PlanBatchRequest(batch)); status.Code(err) != codes.Canceled {
		t.Errorf("a cancelled call answered %v", err)
	}
	past, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if _, err := b.Client.PlanBatch(past, wire.PlanBatchRequest(batch)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a call past its deadline answered %v", err)
	}
	within, cancel := context.WithTimeout(t.Context(), b.manifest.TimeLimit)
	defer cancel()
	if _, err := b.Client.PlanBatch(within, wire.PlanBatchRequest(batch[:min(64, len(batch))])); err != nil {
		t.Errorf("64 snapshots within its own time limit of %v: %v", b.manifest.TimeLimit, err)
	}
	b.stopsInTheMiddle(t, batch)
}

// stopsInTheMiddle ends a call while a large batch is being planned.
func (b *bundle) stopsInTheMiddle(t T, batch []actuation.Snapshot) {
	t.Helper()
	req := wire.PlanBatchRequest(slices.Repeat(batch, 50))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := b.Client.PlanBatch(ctx, req)
		done <- err
	}()
	select {
	case err := <-done:
		if c := status.Code(err); c != codes.OK && c != codes.DeadlineExceeded {
			t.Errorf("a call that ran out of time answered %v", err)
		}
	case <-time.After(patience):
		t.Error("a call that ran out of time did not return")
	}
}

func (b *bundle) concurrent(t T) {
	req := wire.PlanBatchRequest(b.batch(today))
	want := b.ask(t, req)
	answers := make([][]*actuatorv1.Plan, 8)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			for range 5 {
				res, err := b.Client.PlanBatch(t.Context(), req)
				if err != nil {
					t.Error(err)
					return
				}
				answers[i] = res.GetPlans()
			}
		})
	}
	wg.Wait()
	for _, got := range answers {
		got = slices.Clone(got)
		slices.SortStableFunc(got, func(x, y *actuatorv1.Plan) int { return strings.Compare(x.GetSnapshotId(), y.GetSnapshotId()) })
		mustEqual(t, "asked by eight at once", want, got)
	}
}

func (b *bundle) executesOnce(t T) {
	if len(b.manifest.CommandKinds) > 0 && len(b.Commands) == 0 && !b.NoCommands {
		t.Fatal("it declares command kinds: give commands with sdktest.Commands")
	}
	for _, c := range b.Commands {
		req := wire.ExecuteRequest(actuation.Command{
			IdempotencyKey: c.IdempotencyKey, Kind: c.Kind, PartnerID: c.PartnerID, MerchantID: c.MerchantID, CommittedAt: c.CommittedAt,
			Attempt: 1, Payload: c.Payload, Settings: c.Settings,
		})
		first, err := b.Client.Execute(t.Context(), req)
		if err != nil {
			t.Fatalf("command %s: %v", c.IdempotencyKey, err)
		}
		req.Attempt = 2
		second, err := b.Client.Execute(t.Context(), req)
		if err != nil || !proto.Equal(first, second) {
			t.Errorf("command %s, repeated, answered %v (%v) instead of %v", c.IdempotencyKey, second, err, first)
		}
	}
}
