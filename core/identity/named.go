package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// NamedIn reports whether text names the customer: by phone, by e-mail address,
// or by a word of the name that has three letters or more.
func (c Customer) NamedIn(text string) bool {
	low := strings.ToLower(text)
	if c.Email != "" && strings.Contains(low, strings.ToLower(c.Email)) || c.Phone != "" && strings.Contains(text, strings.TrimPrefix(c.Phone, "+")) {
		return true
	}
	words := map[string]bool{}
	for _, word := range wordsOf(low) {
		words[word] = true
	}
	for _, word := range wordsOf(strings.ToLower(c.Name)) {
		if utf8.RuneCountInString(word) > 2 && words[word] {
			return true
		}
	}
	return false
}

func wordsOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}
