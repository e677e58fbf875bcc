package vault

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestSealOpen(t *testing.T) {
	t.Parallel()
	key := Key()
	v, err := New(key, "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(key, "b")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed, err := v.Seal(plain)
		if err != nil {
			t.Fatal(err)
		}
		if len(plain) > 8 && bytes.Contains(sealed, plain) {
			t.Fatal("the sealed value shows the plain one")
		}
		got, err := v.Open(sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open = %q, %v", got, err)
		}
		if _, err := other.Open(sealed); !errors.Is(err, ErrOpen) {
			t.Fatal("a value sealed for one purpose opens for another")
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1
		if _, err := v.Open(sealed); !errors.Is(err, ErrOpen) {
			t.Fatal("a changed value opens")
		}
	})
}

func TestShortKeyIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := New(make([]byte, 16), "a"); err == nil {
		t.Error("a key of 16 bytes was taken")
	}
}
