// Package sdk is all that the author of an actuator imports.
//
// An actuator is a program that turns one decision and the facts around it (a
// [Snapshot]) into effects (a [Plan]). Feddi runs it as a process of its own,
// proves every effect against the decision, the wallet and the budgets, and
// only then commits it. So an actuator cannot move money that the decision did
// not allow; the worst that a wrong one can do is refuse or be late.
//
// A whole actuator:
//
//	package main
//
//	import (
//		"context"
//		"time"
//
//		"github.com/feddi/feddi/plugins/sdk"
//	)
//
//	type thanks struct{}
//
//	func (thanks) Describe() sdk.Manifest {
//		return sdk.Manifest{
//			Name: "thanks", Version: "1.0.0",
//			DecisionKinds: []sdk.Kind{sdk.KindEnrichment},
//			EffectKinds:   []sdk.EffectKind{sdk.EffectAnnotation},
//			TimeLimit:     100 * time.Millisecond,
//			Policy:        sdk.Optional,
//		}
//	}
//
//	func (thanks) Plan(ctx context.Context, s sdk.Snapshot) (sdk.Plan, error) {
//		return sdk.Plan{
//			Effects:   []sdk.Effect{sdk.Annotation([]byte(`{"say":"Thank you!"}`))},
//			Reasoning: sdk.Reasoning{Summary: "Say thank you.", Rule: "thanks.always"},
//		}, nil
//	}
//
//	func main() { sdk.Serve(thanks{}) }
//
// # What an author must keep to
//
// Planning is a function of the snapshot: no clock (the time is Snapshot.At), no
// randomness, no network, no files, no memory of earlier calls. Feddi replays
// decisions and compares. [github.com/feddi/feddi/plugins/sdk/sdktest] checks
// it, and the rest of the contract, from one line in a test:
//
//	func TestConformance(t *testing.T) {
//		sdktest.Exercise(t, func() sdk.Actuator { return thanks{} })
//	}
//
// Plan is called from several goroutines at once. To say no, return a plan with
// a Refusal: a refusal is a decision, with a reasoning card. To say that you
// could not decide (a setting makes no sense), return an [*Error].
//
// What reaches the world outside (a message, a payout) belongs into Execute,
// see [Executor]: it is called after the decision was committed, at least once.
//
// Print nothing to standard output; log with [Logger].
//
// # Compatibility
//
// The types here are this package's own and not those of Feddi's core, so that
// the core may move without breaking actuators. They change only by addition,
// as does the wire contract behind them: an actuator built today runs on newer
// hosts, and one built on a newer SDK runs on today's, each ignoring what it
// does not know.
package sdk
