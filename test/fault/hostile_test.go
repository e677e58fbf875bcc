package fault_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/actuation/record"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/wire"
	"github.com/feddi/feddi/plugins/wallet"
	"github.com/feddi/feddi/test/internal/rig"
)

// Whatever an actuator answers, a payment that it does not plan rightly fails
// cleanly, and nothing changes: the same call succeeds as soon as the actuator
// is honest.
func TestLiesChangeNothing(t *testing.T) {
	t.Parallel()
	honest := t.TempDir()
	b := setup(t, "liar", honest)
	other := b.merchant()
	if _, err := b.pay(other, uuid.NewString(), b.code(other, b.customer(other, 0, 700)), 100); err != nil {
		t.Fatalf("the liar learns of another merchant's lot: %v", err)
	}
	mine := b.merchant()
	for i, l := range lies {
		t.Run(l.name, func(t *testing.T) { //nolint:paralleltest,tparallel // one database, one fingerprint
			customer := b.customer(mine, 700, 300, 200, 400)
			code, key, amount := b.code(mine, customer), uuid.NewString(), firstLie+int64(i)
			before := b.fingerprint()
			_, err := b.pay(mine, key, code, amount)
			if !fault.Is(err, fault.CodeActuatorUnavailable) && !fault.Is(err, fault.CodeDeadlineExceeded) {
				t.Fatalf("the payment was answered %v", err)
			}
			if got := refusal(err); got != l.refused {
				t.Errorf("refused for %s, not for %s: %v", got, l.refused, errors.Unwrap(err))
			}
			if after := b.fingerprint(); after != before {
				t.Errorf("it changed something:\n%s\n%s", before, after)
			}
			rig.Must(t, os.WriteFile(filepath.Join(honest, customer), nil, 0o600))
			var done payments.Result
			rig.Eventually(t, func() (err error) {
				done, err = b.pay(mine, key, code, amount)
				return err
			})
			if got := done.Payment.Debit.PromoMinor(); got != 900 || done.Payment.Debit.ActualMinor != amount-900 {
				t.Errorf("then it took %+v", done.Payment.Debit)
			}
		})
	}
	rig.Must(t, b.books.Sound(t.Context()))
}

func TestNoiseChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, "noise")
	mine := b.merchant()
	code := b.code(mine, b.customer(mine, 700))
	before := b.fingerprint()
	for range 3 {
		_, err := b.pay(mine, uuid.NewString(), code, 100)
		if !fault.Is(err, fault.CodeActuatorUnavailable) {
			t.Fatalf("the payment was answered %v", err)
		}
	}
	if after := b.fingerprint(); after != before {
		t.Errorf("it changed something:\n%s\n%s", before, after)
	}
}

// Many tills of two merchants pay at once while half of the plans are wrong at
// random: whatever is committed is what the wallet actuator would have planned.
func TestMutantPlansNeverCommit(t *testing.T) {
	t.Parallel()
	b := setup(t, "mutant")
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 2 {
		tn := b.merchant()
		for range 4 {
			customer := b.customer(tn, 900, 300, 50, 1, 400)
			for range 3 {
				wg.Go(func() {
					for range 8 {
						code, key, amount := b.code(tn, customer), uuid.NewString(), 1+rand.Int64N(200)
						for range 4 {
							_, err := b.pay(tn, key, code, amount)
							if err == nil {
								mu.Lock()
								taken++
								mu.Unlock()
							}
							if !fault.Is(err, fault.CodeActuatorUnavailable) {
								break
							}
						}
					}
				})
			}
		}
	}
	wg.Wait()
	rules := b.rules()
	if taken < 20 || len(rules) < 5 {
		t.Fatalf("%d payments were taken, refused for %v: this tried little", taken, rules)
	}
	t.Logf("%d payments were taken, plans refused for %v", taken, rules)
	rig.Must(t, b.books.Sound(t.Context()))
	decisions := b.decisions()
	if len(decisions) != taken {
		t.Errorf("%d payments were answered, the books have %d", taken, len(decisions))
	}
	for _, d := range decisions {
		// What it says of its reasons is for people; what it does is not.
		if want := replan(t, d.Snapshot); !reflect.DeepEqual(d.Plan.Effects, want.Effects) {
			t.Errorf("committed:\n%+v\nwhere the wallet actuator plans:\n%+v", d.Plan.Effects, want.Effects)
		}
	}
}

// decisions are what is stored with the payments.
func (b *bench) decisions() (all []record.Decision) {
	b.t.Helper()
	rows, err := b.db.Pool().Query(b.t.Context(), "SELECT decision FROM payments WHERE status = 'succeeded'")
	rig.Must(b.t, err)
	stored, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	rig.Must(b.t, err)
	for _, raw := range stored {
		d, err := record.Read(raw)
		rig.Must(b.t, err)
		all = append(all, d)
	}
	return all
}

// replan asks the real wallet actuator.
func replan(t *testing.T, s actuation.Snapshot) actuation.Plan {
	t.Helper()
	answer, err := sdk.NewServer(wallet.Wallet{}).PlanBatch(t.Context(), wire.PlanBatchRequest([]actuation.Snapshot{s}))
	rig.Must(t, err)
	return wire.Plans(answer)[0]
}
