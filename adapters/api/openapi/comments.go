package openapi

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Comments are the contract's comments by the full name of what they stand
// before.
type Comments map[string]string

// ReadComments reads them from a FileDescriptorSet with source information,
// such as contracts.Descriptors gives; the descriptors linked into a program
// have none.
func ReadComments(set []byte) (Comments, error) {
	var files descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &files); err != nil {
		return nil, fmt.Errorf("read the contract's comments: %w", err)
	}
	out := Comments{}
	for _, file := range files.GetFile() {
		names := map[string]string{}
		for i, m := range file.GetMessageType() {
			nameMessage(names, []int32{4, int32(i)}, file.GetPackage(), m)
		}
		for i, s := range file.GetService() {
			service := file.GetPackage() + "." + s.GetName()
			names[key([]int32{6, int32(i)})] = service
			for j, m := range s.GetMethod() {
				names[key([]int32{6, int32(i), 2, int32(j)})] = service + "." + m.GetName()
			}
		}
		for _, l := range file.GetSourceCodeInfo().GetLocation() {
			if name := names[key(l.GetPath())]; name != "" {
				out[name] = flow(l.GetLeadingComments())
			}
		}
	}
	return out, nil
}

func nameMessage(names map[string]string, path []int32, scope string, m *descriptorpb.DescriptorProto) {
	full := scope + "." + m.GetName()
	names[key(path)] = full
	for i, f := range m.GetField() {
		names[key(append(path[:len(path):len(path)], 2, int32(i)))] = full + "." + f.GetName()
	}
	for i, n := range m.GetNestedType() {
		nameMessage(names, append(path[:len(path):len(path)], 3, int32(i)), full, n)
	}
}

func key(path []int32) string { return fmt.Sprint(path) }

// flow joins the lines of a comment, and keeps its paragraphs.
func flow(comment string) string {
	var paragraphs []string
	for p := range strings.SplitSeq(comment, "\n\n") {
		if words := strings.Fields(p); len(words) > 0 {
			paragraphs = append(paragraphs, strings.Join(words, " "))
		}
	}
	return strings.Join(paragraphs, "\n\n")
}
