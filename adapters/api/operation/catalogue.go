package operation

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Files is where the descriptors come from; protoregistry.GlobalFiles is one.
type Files interface {
	RangeFilesByPackage(name protoreflect.FullName, yield func(protoreflect.FileDescriptor) bool)
}

// Catalogue is every operation of one surface, planned ones included.
// Immutable.
type Catalogue struct {
	// Package is the surface's protobuf package, for example "feddi.partner.v1".
	Package string
	// All holds the operations by service (in the order of their files) and, in
	// a service, in the order of the contract.
	All         []*Operation
	byProcedure map[string]*Operation
	byID        map[string]*Operation
}

// Load reads the catalogue of a surface. It reports every contradiction in the
// contract at once: ids or routes used twice, variables without a field, streams
// of nothing.
func Load(files Files, surface string) (*Catalogue, error) {
	c := &Catalogue{Package: surface, byProcedure: map[string]*Operation{}, byID: map[string]*Operation{}}
	var errs []error
	var streams []protoreflect.MethodDescriptor
	for _, file := range filesOf(files, surface) {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if streamed(methods.Get(j)) != "" {
					streams = append(streams, methods.Get(j))
					continue
				}
				o, err := Read(methods.Get(j))
				errs = append(errs, err)
				if o != nil && err == nil {
					errs = append(errs, c.add(o))
				}
			}
		}
	}
	for _, rpc := range streams {
		errs = append(errs, c.attach(rpc))
	}
	return c, errors.Join(errs...)
}

func filesOf(files Files, surface string) []protoreflect.FileDescriptor {
	var out []protoreflect.FileDescriptor
	files.RangeFilesByPackage(protoreflect.FullName(surface), func(f protoreflect.FileDescriptor) bool {
		out = append(out, f)
		return true
	})
	slices.SortFunc(out, func(a, b protoreflect.FileDescriptor) int { return strings.Compare(a.Path(), b.Path()) })
	return out
}

func (c *Catalogue) add(o *Operation) error {
	if c.byID[o.ID] != nil {
		return fmt.Errorf("operation id %q is used twice", o.ID)
	}
	for _, other := range c.All {
		if other.Method == o.Method && sameShape(other.Segments, o.Segments) {
			return fmt.Errorf("%s and %s share the route %s %s", other.ID, o.ID, o.Method, o.Path)
		}
	}
	c.All = append(c.All, o)
	c.byProcedure[o.Procedure] = o
	c.byID[o.ID] = o
	return nil
}

// sameShape reports whether two templates match exactly the same paths.
func sameShape(a, b []Segment) bool {
	return slices.EqualFunc(a, b, func(x, y Segment) bool {
		return (x.Field == nil) == (y.Field == nil) && x.Literal == y.Literal
	})
}

// Procedure returns the operation that a Connect path leads to, be it the
// operation's own or that of its stream; or nil.
func (c *Catalogue) Procedure(procedure string) *Operation { return c.byProcedure[procedure] }

// ID returns the operation of an id, or nil.
func (c *Catalogue) ID(id string) *Operation { return c.byID[id] }
