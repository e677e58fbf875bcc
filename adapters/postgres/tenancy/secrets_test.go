package tenancy_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	store "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/tenancy"
)

func TestServersThatStartTogetherShareTheirSecrets(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	got, errs := make([]tenancy.Secrets, 6), make([]error, 6)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], errs[i] = store.OpenSecrets(t.Context(), db, nil, now) })
	}
	wg.Wait()
	for i := range got {
		must(t, errs[i])
		if diff := cmp.Diff(got[0], got[i]); diff != "" {
			t.Fatalf("server %d has others:\n%s", i, diff)
		}
	}
	if len(got[0].Signing) != 1 || len(got[0].Signing[0].Secret) != 32 || len(got[0].ServerKey) != 32 {
		t.Errorf("secrets = %+v", got[0])
	}
}

func TestSealedSecretsAreNotInTheDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	master := bytes.Repeat([]byte{7}, 32)
	stored := func() []byte {
		values, err := pg.Many[[]byte](t.Context(), db.Q(), `SELECT value FROM server_secrets`)
		must(t, err)
		return bytes.Join(values, nil)
	}
	clear, err := store.OpenSecrets(t.Context(), db, nil, now)
	must(t, err)
	if !bytes.Contains(stored(), clear.ServerKey) {
		t.Fatal("without a master key they are in the clear; this test looks in the wrong place")
	}
	for _, when := range []string{"sealed now", "sealed before"} {
		got, err := store.OpenSecrets(t.Context(), db, master, now)
		must(t, err)
		if diff := cmp.Diff(clear, got); diff != "" {
			t.Errorf("%s: they changed:\n%s", when, diff)
		}
		if bytes.Contains(stored(), clear.ServerKey) || bytes.Contains(stored(), clear.Signing[0].Secret) {
			t.Errorf("%s: they are in the database", when)
		}
	}
	for name, wrong := range map[string][]byte{"another master key": bytes.Repeat([]byte{8}, 32), "none": nil} {
		if _, err := store.OpenSecrets(t.Context(), db, wrong, now); !errors.Is(err, store.ErrMasterKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := store.OpenSecrets(t.Context(), db, []byte("short"), now); err == nil {
		t.Error("a short master key was taken")
	}
}
