package shape_test

import (
	"strings"
	"testing"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	got, err := shape.Decode([]byte(`{"id":"cus_01m7we843dad3hz7bpxs7pw995","n":5,"f":5.0,"at":"2026-06-01T08:00:00.5Z","local":"2026-06-01T08:00:00+02:00","null":null,"empty":"","list":[1,2],"deep":{"a":{"b":true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for want, wrong := range map[string]string{
		`{"id":"$id:cus_","n":5,"at":"$time","null":null,"list":[1,2],"deep":{"a":{"b":true}}}`: "",
		`{"list":[1,"$more"]}`:           "",
		`{"list":[1,"$any"]}`:            "",
		`{"null":"$any","n":"$int"}`:     "",
		`{"id":"$id:pay_"}`:              ".id is",
		`{"f":5}`:                        ".f is 5.0, want 5",
		`{"f":"$int"}`:                   ".f is 5.0",
		`{"n":"5"}`:                      ".n is 5, want \"5\"",
		`{"local":"$time"}`:              ".local is",
		`{"empty":"$string"}`:            ".empty is",
		`{"null":"$string"}`:             ".null is",
		`{"list":[1]}`:                   ".list has 2 elements, want 1",
		`{"list":[1,3]}`:                 ".list[1] is 2, want 3",
		`{"missing":null}`:               ".missing is missing",
		`{"deep":{"a":{"b":false}}}`:     ".deep.a.b is true, want false",
		`{"deep":{"a":[]}}`:              ".deep.a is",
		`{"n":"$colour"}`:                ".n is 5",
		`{"n":5} 6`:                      "the shape itself",
		`{"n":5,"list":{"0":1}}`:         ".list is",
		`{"null":{"a":1},"deep":"$any"}`: ".null is null, want an object",
	} {
		diff := strings.Join(shape.Diff(want, got), "\n")
		if wrong == "" && diff != "" || !strings.Contains(diff, wrong) {
			t.Errorf("%s: %q, want %q", want, diff, wrong)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	v, err := shape.Decode([]byte(`{"a":[{"b":"x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{"a.0.b": "x", "a.1.b": nil, "a.x": nil, "a.0.b.c": nil, "z": nil} {
		if got := shape.At(v, path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
