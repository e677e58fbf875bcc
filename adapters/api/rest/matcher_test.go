package rest

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/adapters/api/operation"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// anyField stands for the variable of a template; the matcher does not look at it.
var anyField = (&partnerv1.GetTopupRequest{}).ProtoReflect().Descriptor().Fields().Get(0)

func routeOf(method, template string) *route {
	o := &operation.Operation{Method: method, Path: template}
	for part := range strings.SplitSeq(template[1:], "/") {
		s := operation.Segment{Literal: part}
		if strings.HasPrefix(part, "{") {
			s = operation.Segment{Field: anyField}
		}
		o.Segments = append(o.Segments, s)
	}
	return &route{op: o}
}

// naive is the specification: of the templates that fit segment by segment,
// the one whose first difference to any other is a literal.
func naive(templates []string, path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	best := ""
	for _, template := range templates {
		if fits(template, parts) && (best == "" || before(template, best)) {
			best = template
		}
	}
	return best
}

func fits(template string, parts []string) bool {
	segments := strings.Split(template[1:], "/")
	if len(segments) != len(parts) {
		return false
	}
	for i, s := range segments {
		if parts[i] == "" || s != parts[i] && !strings.HasPrefix(s, "{") {
			return false
		}
	}
	return true
}

// before orders templates of one length that fit the same path.
func before(a, b string) bool {
	as, bs := strings.Split(a[1:], "/"), strings.Split(b[1:], "/")
	for i := range as {
		av, bv := strings.HasPrefix(as[i], "{"), strings.HasPrefix(bs[i], "{")
		if av != bv {
			return bv
		}
	}
	return false
}

var (
	words    = []string{"a", "b", "c"}
	segments = rapid.SampledFrom(append([]string{"{v}"}, words...))
	template = rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(segments, 1, 5).Draw(t, "template"), "/")
	})
	path = rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(append([]string{"x", ""}, words...)), 1, 6).Draw(t, "path"), "/")
	})
)

func TestMatcherAgreesWithItsSpecification(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		templates := rapid.SliceOfDistinct(template, func(s string) string { return s }).Draw(t, "templates")
		var m matcher
		for _, s := range templates {
			m.add(routeOf("GET", s))
		}
		p := path.Draw(t, "asked")
		routes, values := m.match(p)
		want := naive(templates, p)
		if (routes == nil) != (want == "") {
			t.Fatalf("%s among %v: %v, want %q", p, templates, routes, want)
		}
		if want != "" && (routes["GET"].op.Path != want || strings.Join(values, "/") != p[1:]) {
			t.Fatalf("%s among %v: %s %v, want %s", p, templates, routes["GET"].op.Path, values, want)
		}
	})
}

func TestMatcherUnescapes(t *testing.T) {
	t.Parallel()
	var m matcher
	m.add(routeOf("GET", "/a/{v}"))
	m.add(routeOf("POST", "/a/{w}"))
	routes, values := m.match("/a/x%2Fy%20z")
	if routes == nil || values[1] != "x/y z" || allowed(routes) != "GET, HEAD, POST" {
		t.Errorf("%v %q %s", routes, values, allowed(routes))
	}
	for _, p := range []string{"", "/", "a/x", "/a", "/a/", "/a//", "/a/x/", "/a/%", "/a/%zz", "/a/%ff", "/A/x", "/a/x/y", strings.Repeat("/a", 40)} {
		if routes, _ := m.match(p); routes != nil {
			t.Errorf("%q matches", p)
		}
	}
}

// The matcher takes any text, and what it finds are the path's own segments.
func FuzzMatcher(f *testing.F) {
	var m matcher
	for _, s := range []string{"/health", "/{id}/transactions", "/{id}/transactions/{t}", "/wallets/{id}/balance", "/auth/keys/{k}/revoke", "/auth/keys/sandbox"} {
		m.add(routeOf("GET", s))
	}
	for _, seed := range []string{"/health", "/par_1/transactions", "/wallets/transactions", "/auth/keys/sandbox", "/%2e%2e/transactions", "//", "/a%00/transactions"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		routes, values := m.match(path)
		if routes == nil {
			return
		}
		var want []string
		for part := range strings.SplitSeq(path[1:], "/") {
			plain, err := url.PathUnescape(part)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, plain)
		}
		if !slices.Equal(values, want) || slices.Contains(values, "") {
			t.Fatalf("%q: %q", path, values)
		}
	})
}
