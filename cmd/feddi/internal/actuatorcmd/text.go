package actuatorcmd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/feddi/feddi/adapters/pluginhost"
	"github.com/feddi/feddi/adapters/pluginhost/program"
)

// discarded is for processes whose log nobody asked for.
var discarded = slog.New(slog.DiscardHandler)

// confinedSpec starts a merchant's program.
func confinedSpec(name string, p program.File) pluginhost.Spec {
	return pluginhost.Spec{Name: name, Command: p.Path, SHA256: p.SHA256, Confined: true}
}

// nameOf asks the program for its name: a host is told whom to expect, and here
// nobody knows yet.
func nameOf(ctx context.Context, p program.File) (string, error) {
	o, err := pluginhost.Open(ctx, confinedSpec("", p), pluginhost.Config{Version: "verify", Logger: discarded})
	if err != nil {
		return "", err
	}
	return o.Manifest.Name, o.Close()
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return plural(int(n), "byte")
	}
}

// short cuts the beginning of a text that is longer than n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n+1:])
	}
	return s
}

// wrapped breaks a text into indented lines of at most width characters; words
// that are longer are cut.
func wrapped(text, indent string, width int) string {
	var out strings.Builder
	room := width - len(indent)
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			for len([]rune(word)) > room {
				r := []rune(word)
				if line != "" {
					out.WriteString(indent + line + "\n")
					line = ""
				}
				out.WriteString(indent + string(r[:room]) + "\n")
				word = string(r[room:])
			}
			if line != "" && len([]rune(line))+1+len([]rune(word)) > room {
				out.WriteString(indent + line + "\n")
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		out.WriteString(indent + line + "\n")
	}
	return strings.TrimSuffix(out.String(), "\n")
}
