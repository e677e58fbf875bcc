package fault_test

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/handshake"
	"github.com/feddi/feddi/plugins/wallet"
)

// act is the actuator of that name; it ends with its host.
func act(name string, args []string) {
	switch name {
	case "liar":
		sdk.Serve(&liar{honest: args[0]})
	case "mutant":
		sdk.Serve(mutant{})
	case "noise":
		makeNoise()
	}
}

// pretend is the wallet actuator's name and place, with every kind of effect
// that there is.
func pretend() sdk.Manifest {
	return sdk.Manifest{
		Name: "wallet", Version: "6.6.6", DecisionKinds: []sdk.Kind{sdk.KindWalletDebit},
		EffectKinds: []sdk.EffectKind{sdk.EffectDebit, sdk.EffectGrant, sdk.EffectPoints, sdk.EffectMessage, sdk.EffectAnnotation},
		// Only one lie waits for it: a busy machine must not make the others do so.
		TimeLimit: 4 * time.Second, Policy: sdk.Required,
	}
}

// firstLie is the amount of a payment that gets the first of the lies; the
// next one gets the second.
const firstLie = 1000

// liar plans as the wallet actuator does, but for payments of certain amounts,
// until a file named as the customer says that it shall be honest to that one.
type liar struct {
	honest string // a directory

	mu    sync.Mutex
	known map[string][]sdk.Lot // lots by merchant
}

func (*liar) Describe() sdk.Manifest { return pretend() }

func (*liar) Plan(context.Context, sdk.Snapshot) (sdk.Plan, error) { return sdk.Plan{}, nil }

// PlanBatch implements sdk.BatchPlanner.
func (l *liar) PlanBatch(_ context.Context, batch []sdk.Snapshot) ([]sdk.Plan, error) {
	var plans []sdk.Plan
	for _, s := range batch {
		l.learn(s)
		honest := wallet.DebitPlan(s)
		i := int(s.AmountMinor - firstLie)
		if _, err := os.Stat(filepath.Join(l.honest, s.CustomerID)); err == nil || i < 0 || i >= len(lies) {
			plans = append(plans, honest)
			continue
		}
		told, err := lies[i].tell(l, s, honest)
		if err != nil {
			return nil, err
		}
		plans = append(plans, told...)
	}
	return plans, nil
}

func (l *liar) learn(s sdk.Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[string][]sdk.Lot{}
	}
	l.known[s.MerchantID] = s.Lots
}

// foreign is a lot of another merchant's customer.
func (l *liar) foreign(s sdk.Snapshot) sdk.Lot {
	l.mu.Lock()
	defer l.mu.Unlock()
	for merchant, lots := range l.known {
		if merchant != s.MerchantID && len(lots) > 0 {
			return lots[0]
		}
	}
	return sdk.Lot{}
}

// lie is a way to answer a payment wrongly.
type lie struct {
	name string
	tell func(l *liar, s sdk.Snapshot, p sdk.Plan) ([]sdk.Plan, error)
	// refused is how it shows to operators: the rule that a plan broke, or the
	// code of a failed call.
	refused string
}

// edit is a lie that changes the honest plan.
func edit(name string, rule actuation.Rule, change func(l *liar, s sdk.Snapshot, p *sdk.Plan)) lie {
	return lie{name: name, refused: string(rule), tell: func(l *liar, s sdk.Snapshot, p sdk.Plan) ([]sdk.Plan, error) {
		change(l, s, &p)
		return []sdk.Plan{p}, nil
	}}
}

// last is the plan's last debit, which is of actual money.
func last(p *sdk.Plan) *sdk.Effect { return &p.Effects[len(p.Effects)-1] }

// lies are told to customers with three lots that all are spent, and an actual
// balance below the payment's amount. So an honest plan has four debits.
var lies = []lie{
	edit("takes too little", actuation.RuleDebitSum, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { last(p).AmountMinor-- }),
	edit("takes too much", actuation.RuleDebitSum, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { last(p).AmountMinor++ }),
	edit("takes actual money first", actuation.RuleSpending, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { slices.Reverse(p.Effects) }),
	edit("takes a later lot first", actuation.RuleSpending, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) {
		p.Effects[0], p.Effects[1] = p.Effects[1], p.Effects[0]
	}),
	edit("spares a lot", actuation.RuleSpending, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) {
		last(p).AmountMinor += p.Effects[0].AmountMinor
		p.Effects = p.Effects[1:]
	}),
	edit("overdraws the balance", actuation.RuleBalance, func(_ *liar, s sdk.Snapshot, p *sdk.Plan) { p.Effects = []sdk.Effect{s.DebitActual(s.AmountMinor)} }),
	edit("overdraws a lot", actuation.RuleLot, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) {
		p.Effects[0].AmountMinor++
		last(p).AmountMinor--
	}),
	edit("spends a lot twice", actuation.RuleLot, func(_ *liar, s sdk.Snapshot, p *sdk.Plan) { p.Effects[1].GrantID = s.Lots[0].GrantID }),
	edit("spends another tenant's lot", actuation.RuleLot, func(l *liar, s sdk.Snapshot, p *sdk.Plan) { p.Effects[0].GrantID = l.foreign(s).GrantID }),
	edit("spends a lot of its own making", actuation.RuleLot, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Effects[0].GrantID = "grt_none" }),
	edit("names no lot", actuation.RuleLot, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Effects[0].GrantID = "" }),
	edit("names a lot for actual money", actuation.RuleField, func(_ *liar, s sdk.Snapshot, p *sdk.Plan) { last(p).GrantID = s.Lots[0].GrantID }),
	edit("pays in points", actuation.RuleClass, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { last(p).Class = sdk.ClassPoints }),
	edit("pays in a class that is none", actuation.RuleClass, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { last(p).Class = "gold" }),
	edit("pays in another currency", actuation.RuleCurrency, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { last(p).Currency = "EUR" }),
	edit("gives by a negative debit", actuation.RuleAmount, func(_ *liar, s sdk.Snapshot, p *sdk.Plan) {
		p.Effects[2].AmountMinor, last(p).AmountMinor = s.AmountMinor-500+400, -400
	}),
	edit("takes nothing", actuation.RuleAmount, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { last(p).AmountMinor = 0 }),
	edit("overflows", actuation.RuleAmount, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) {
		p.Effects[0].AmountMinor, p.Effects[1].AmountMinor = math.MaxInt64, math.MaxInt64
	}),
	edit("debits very often", actuation.RuleCount, func(_ *liar, s sdk.Snapshot, p *sdk.Plan) {
		p.Effects = slices.Repeat([]sdk.Effect{s.DebitActual(1)}, int(s.AmountMinor))
	}),
	edit("gives a grant", actuation.RuleEffectKind, func(_ *liar, s sdk.Snapshot, p *sdk.Plan) {
		p.Effects = append(p.Effects, s.Grant("GOODWILL", 1_000_000))
	}),
	edit("gives points", actuation.RuleEffectKind, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Effects = append(p.Effects, sdk.Points(1_000_000)) }),
	edit("does what it did not declare", actuation.RuleEffectKind, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) {
		p.Effects = append(p.Effects, sdk.Attribution(json.RawMessage(`{}`)))
	}),
	edit("draws on a budget", actuation.RuleField, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { last(p).BudgetID = "bud_1" }),
	edit("lets a debit expire", actuation.RuleField, func(_ *liar, s sdk.Snapshot, p *sdk.Plan) { last(p).ExpiresAt = s.At }),
	edit("does nothing", actuation.RuleOutcome, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Effects = nil }),
	edit("refuses and debits", actuation.RuleOutcome, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Refusal = "no" }),
	edit("denies funds that are there", actuation.RuleRefusal, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) {
		p.Effects, p.Refusal = nil, sdk.RefusalInsufficientFunds
	}),
	edit("refuses with a speech", actuation.RuleRefusal, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Effects, p.Refusal = nil, "No. <b>Never</b>!" }),
	edit("gives no reason", actuation.RuleReasoning, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Reasoning = sdk.Reasoning{} }),
	edit("reasons with control characters", actuation.RuleReasoning, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Reasoning.Summary = "paid\x00\x1b[2J" }),
	edit("reasons with half an object", actuation.RuleDocument, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Reasoning.Facts = json.RawMessage(`{"paid":`) }),
	edit("reasons at length", actuation.RuleSize, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) {
		p.Reasoning.Facts = json.RawMessage(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)
	}),
	edit("annotates very often", actuation.RuleCount, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) {
		p.Effects = append(p.Effects, slices.Repeat([]sdk.Effect{sdk.Annotation(json.RawMessage(`{}`))}, actuation.MaxEffects+1)...)
	}),
	edit("annotates with a list", actuation.RuleDocument, func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) {
		p.Effects = append(p.Effects, sdk.Annotation(json.RawMessage(`[1]`)))
	}),
	edit("answers for somebody else", "garbage", func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.SnapshotID = "pay_of_somebody" }),
	{"answers twice", func(_ *liar, _ sdk.Snapshot, p sdk.Plan) ([]sdk.Plan, error) { return []sdk.Plan{p, p}, nil }, "garbage"},
	{"does not answer", func(*liar, sdk.Snapshot, sdk.Plan) ([]sdk.Plan, error) { return nil, nil }, "garbage"},
	edit("answers without end", "oversized", func(_ *liar, _ sdk.Snapshot, p *sdk.Plan) { p.Refusal = strings.Repeat("x", handshake.MaxAnswerBytes) }),
	{"has an error of its own", func(*liar, sdk.Snapshot, sdk.Plan) ([]sdk.Plan, error) {
		return nil, &sdk.Error{Code: "moody", Message: "not today", Retryable: true}
	}, "moody"},
	{"panics", func(*liar, sdk.Snapshot, sdk.Plan) ([]sdk.Plan, error) { panic("I cannot read this") }, "internal"},
	{"is too slow", func(*liar, sdk.Snapshot, sdk.Plan) ([]sdk.Plan, error) { select {} }, "deadline"},
	{"exits", func(*liar, sdk.Snapshot, sdk.Plan) ([]sdk.Plan, error) { os.Exit(4); return nil, nil }, "not_running"},
}

// mutant changes about half of its plans at random, and now and then mixes up
// which plan is for whom.
type mutant struct{}

func (mutant) Describe() sdk.Manifest { return pretend() }

func (mutant) Plan(context.Context, sdk.Snapshot) (sdk.Plan, error) { return sdk.Plan{}, nil }

// PlanBatch implements sdk.BatchPlanner.
func (mutant) PlanBatch(_ context.Context, batch []sdk.Snapshot) ([]sdk.Plan, error) {
	plans := make([]sdk.Plan, len(batch))
	r := random(batch[0].ID + batch[len(batch)-1].ID)
	for i, s := range batch {
		plans[i] = wallet.DebitPlan(s)
		if r.IntN(2) == 0 {
			for range 1 + r.IntN(3) {
				mutate(r, s, batch[r.IntN(len(batch))], &plans[i])
			}
		}
	}
	switch i, k := r.IntN(len(plans)), r.IntN(len(plans)); r.IntN(8) {
	case 0:
		plans[i].SnapshotID, plans[k].SnapshotID = plans[k].SnapshotID, plans[i].SnapshotID
	case 1:
		r.Shuffle(len(plans), func(i, k int) { plans[i], plans[k] = plans[k], plans[i] })
	}
	return plans, nil
}

// random is chance that depends on text, so that a failure can be repeated.
func random(text string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // cannot fail
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}

// mutate makes one change to a plan for s; other is a snapshot that it may
// steal from, of the same tenant or another one.
func mutate(r *rand.Rand, s, other sdk.Snapshot, p *sdk.Plan) {
	if len(p.Effects) == 0 {
		p.Effects, p.Refusal = []sdk.Effect{s.DebitActual(s.AmountMinor)}, ""
		return
	}
	e := &p.Effects[r.IntN(len(p.Effects))]
	switch r.IntN(11) {
	case 0:
		e.AmountMinor += r.Int64N(7) - 3
	case 1:
		e.AmountMinor = -e.AmountMinor
	case 2:
		e.AmountMinor = r.Int64()
	case 3:
		e.Class, e.GrantID = sdk.ClassActual, ""
	case 4:
		if len(other.Lots) > 0 {
			e.Class, e.GrantID = sdk.ClassPromo, other.Lots[r.IntN(len(other.Lots))].GrantID
		}
	case 5:
		e.Currency = "EUR"
	case 6:
		p.Effects = append(p.Effects, *e)
	case 7:
		p.Effects = slices.DeleteFunc(p.Effects, func(x sdk.Effect) bool { return x.GrantID == e.GrantID })
	case 8:
		r.Shuffle(len(p.Effects), func(i, k int) { p.Effects[i], p.Effects[k] = p.Effects[k], p.Effects[i] })
	case 9:
		p.Effects = append(p.Effects, s.Grant("GOODWILL", 1+r.Int64N(1000)))
	case 10:
		*p = wallet.DebitPlan(other)
		p.SnapshotID = s.ID
	}
}

// makeNoise serves an actuator whose plans are no message at all.
func makeNoise() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  handshake.Config(),
		VersionedPlugins: map[int]plugin.PluginSet{handshake.Version: {handshake.Name: noisy{}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.ForceServerCodec(noise{}))...)
		},
	})
}

type noisy struct{ plugin.NetRPCUnsupportedPlugin }

func (noisy) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	sdk.Register(s, &liar{})
	return nil
}

func (noisy) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// noise writes plans as bytes that nobody can read.
type noise struct{}

func (noise) Name() string { return "proto" }

func (noise) Marshal(v any) ([]byte, error) {
	switch v.(type) {
	case *actuatorv1.PlanBatchResponse, *actuatorv1.PlanStreamResponse:
		return []byte(strings.Repeat("\xff\x00garbage", 1000)), nil
	}
	return proto.Marshal(v.(proto.Message))
}

func (noise) Unmarshal(raw []byte, v any) error { return proto.Unmarshal(raw, v.(proto.Message)) }
