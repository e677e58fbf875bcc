// Package shape compares JSON answers with what a page of documentation says
// of them: the members it names must be there as it shows them, and more may
// be.
//
// A shape is JSON in which these strings stand for a kind of value: "$any",
// "$string" (not empty), "$int", "$time" (RFC 3339, UTC), "$id:cus_" (an id of
// that prefix). An object may have more members than its shape; an array has
// as many elements, or more where the last one of its shape is "$more".
// Numbers are compared as they are written, so that 5.0 is not 5.
package shape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Decode reads one JSON value with numbers as they are written.
func Decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text behind the JSON value")
	}
	return v, nil
}

// Diff lists where a decoded value is not as want says, by path; nil where it is.
func Diff(want string, got any) []string {
	w, err := Decode([]byte(want))
	if err != nil {
		return []string{fmt.Sprintf("the shape itself is no JSON: %v\n%s", err, want)}
	}
	return diff("", w, got)
}

func diff(path string, want, got any) []string {
	switch want := want.(type) {
	case map[string]any:
		return members(path, want, got)
	case []any:
		return elements(path, want, got)
	case string:
		if kind, ok := strings.CutPrefix(want, "$"); ok {
			return kindOf(path, kind, got)
		}
	}
	if want != got {
		return []string{fmt.Sprintf("%s is %v, want %v", path, show(got), show(want))}
	}
	return nil
}

func members(path string, want map[string]any, got any) (wrong []string) {
	object, ok := got.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s is %s, want an object", path, show(got))}
	}
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, there := object[name]
		if !there {
			wrong = append(wrong, path+"."+name+" is missing")
			continue
		}
		wrong = append(wrong, diff(path+"."+name, want[name], value)...)
	}
	return wrong
}

func elements(path string, want []any, got any) (wrong []string) {
	list, ok := got.([]any)
	if !ok {
		return []string{fmt.Sprintf("%s is %s, want an array", path, show(got))}
	}
	more := len(want) > 0 && want[len(want)-1] == "$more"
	if more {
		want = want[:len(want)-1]
	}
	if len(list) < len(want) || len(list) > len(want) && !more {
		return []string{fmt.Sprintf("%s has %d elements, want %d: %s", path, len(list), len(want), show(got))}
	}
	for i := range want {
		wrong = append(wrong, diff(fmt.Sprintf("%s[%d]", path, i), want[i], list[i])...)
	}
	return wrong
}

var (
	id      = regexp.MustCompile(`^[a-z]+_[0-9a-hjkmnp-tv-z]{20,40}$`)
	integer = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
)

func kindOf(path, kind string, got any) []string {
	text, isText := got.(string)
	number, isNumber := got.(json.Number)
	ok := false
	switch prefix, isID := strings.CutPrefix(kind, "id:"); {
	case isID:
		ok = isText && strings.HasPrefix(text, prefix) && id.MatchString(text)
	case kind == "any":
		ok = true
	case kind == "string":
		ok = text != ""
	case kind == "int":
		ok = isNumber && integer.MatchString(number.String())
	case kind == "time":
		_, err := time.Parse(time.RFC3339, text)
		ok = err == nil && strings.HasSuffix(text, "Z")
	}
	if !ok {
		return []string{fmt.Sprintf("%s is %s, want a value of $%s", path, show(got), kind)}
	}
	return nil
}

func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(text) > 200 {
		text = append(text[:200], "..."...)
	}
	return string(text)
}

// At returns the value at a dotted path, where a number picks an element; nil
// where there is none.
func At(v any, path string) any {
	if path == "" {
		return v
	}
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			i := 0
			if _, err := fmt.Sscanf(name, "%d", &i); err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}
