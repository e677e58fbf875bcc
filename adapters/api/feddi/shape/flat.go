package shape

import "google.golang.org/protobuf/proto"

// Flat copies the members of a resource into dst, an answer that is that
// resource (its fields stand in the answer under the same names), and returns
// dst. Members that dst lacks are left out. The resource must not be used after.
func Flat[R proto.Message](resource proto.Message, dst R) R {
	from, to := resource.ProtoReflect(), dst.ProtoReflect()
	fields := to.Descriptor().Fields()
	source := from.Descriptor().Fields()
	for i := range source.Len() {
		f := source.Get(i)
		target := fields.ByName(f.Name())
		if target == nil || target.Kind() != f.Kind() || !from.Has(f) {
			continue
		}
		to.Set(target, from.Get(f))
	}
	return dst
}
