package rest

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/feddi/feddi/adapters/api/operation"
)

// matcher finds the route of a path: segment by segment from the left, a
// literal before a variable. (http.ServeMux cannot: it refuses
// /{integration_id}/transactions beside /wallets/{id}.) The path decides the
// resource, only then the method is looked at. Immutable once filled.
type matcher struct{ root node }

type node struct {
	literals map[string]*node
	variable *node
	routes   map[string]*route // by method; nil where no path ends here
}

// add puts a route at its operation's path.
func (m *matcher) add(r *route) {
	n := &m.root
	for _, s := range r.op.Segments {
		n = n.child(s)
	}
	if n.routes == nil {
		n.routes = map[string]*route{}
	}
	n.routes[r.op.Method] = r
}

func (n *node) child(s operation.Segment) *node {
	if s.Field != nil {
		if n.variable == nil {
			n.variable = &node{}
		}
		return n.variable
	}
	if n.literals == nil {
		n.literals = map[string]*node{}
	}
	if n.literals[s.Literal] == nil {
		n.literals[s.Literal] = &node{}
	}
	return n.literals[s.Literal]
}

// match returns the routes of an escaped path (without the surface's base),
// by method, and its segments; nil where there are none. An empty segment
// matches nothing, so a trailing slash is another path.
func (m *matcher) match(escaped string) (map[string]*route, []string) {
	rest, ok := strings.CutPrefix(escaped, "/")
	if !ok {
		return nil, nil
	}
	var buffer [16]string
	segments := buffer[:0]
	for part := range strings.SplitSeq(rest, "/") {
		if strings.IndexByte(part, '%') >= 0 {
			plain, err := url.PathUnescape(part)
			if err != nil {
				return nil, nil
			}
			part = plain
		}
		if part == "" || len(segments) == cap(buffer) || !utf8.ValidString(part) {
			return nil, nil
		}
		segments = append(segments, part)
	}
	if n := m.root.find(segments); n != nil {
		return n.routes, slices.Clone(segments)
	}
	return nil, nil
}

func (n *node) find(segments []string) *node {
	if len(segments) == 0 {
		if n.routes == nil {
			return nil
		}
		return n
	}
	if next := n.literals[segments[0]]; next != nil {
		if found := next.find(segments[1:]); found != nil {
			return found
		}
	}
	if n.variable != nil {
		return n.variable.find(segments[1:])
	}
	return nil
}

// allowed lists the methods of routes for the Allow header.
func allowed(routes map[string]*route) string {
	var methods []string
	for method := range routes {
		methods = append(methods, method)
		if method == "GET" {
			methods = append(methods, "HEAD")
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
