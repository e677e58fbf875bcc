package phone_test

import (
	"regexp"
	"testing"

	"github.com/feddi/feddi/adapters/phone"
)

func TestE164(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ number, country, want string }{
		{"+14155550123", "", "+14155550123"},
		{"+1 (415) 555-0123", "QA", "+14155550123"},
		{"  +1.415.555.0123 ", "", "+14155550123"},
		{"(415) 555-0123", "US", "+14155550123"},
		{"(415) 555-0123", "us", "+14155550123"},
		{"1 415 555 0123", "US", "+14155550123"},
		{"0014155550123", "QA", "+14155550123"},
		{"+974 3312 3456", "", "+97433123456"},
		{"33123456", "QA", "+97433123456"},
		{"٣٣١٢٣٤٥٦", "QA", "+97433123456"},
		{"+٩٧٤٣٣١٢٣٤٥٦", "", "+97433123456"},
		{"020 7946 0958", "GB", "+442079460958"},
		{"+44 (0)20 7946 0958", "", "+442079460958"},
		{"06 12345678", "NL", "+31612345678"},
		{"+39 06 1234 5678", "", "+390612345678"}, // Italy keeps its zero
		{"+1 999 555 0123", "", "+19995550123"},   // possible, not assigned
		{"+49 151 23456789", "", "+4915123456789"},
	} {
		got, err := phone.Numbers{}.E164(c.number, c.country)
		if err != nil || got != c.want {
			t.Errorf("E164(%q, %q) = %q, %v; want %q", c.number, c.country, got, err, c.want)
		}
	}
}

func TestWhatCannotBeANumberIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ number, country string }{
		{"", "US"}, {" ", "US"}, {"+", "US"}, {"abc", "US"}, {"12", "US"}, {"5550123", "US"}, {"+15550123", ""},
		{"4155550123", ""}, {"4155550123", "ZZ"}, {"+999123456789", ""}, {"+1415555012345678", ""}, {"+14155550123 ext 5", ""},
		{"+14155550123;ext=5", ""}, {"+1 800 FLOWERS", ""}, {"tel:+14155550123", ""}, {"+1+4155550123", ""}, {"+14155550123\x00", ""},
		{"+14155550123,,5", ""}, {"'; DROP TABLE customers; --", "US"}, {"+0123456789", ""},
	} {
		if got, err := (phone.Numbers{}).E164(c.number, c.country); err == nil {
			t.Errorf("E164(%q, %q) = %q, want an error", c.number, c.country, got)
		}
	}
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)

// FuzzE164 shows that no input panics, that what comes out has the form that
// the database demands, and that a normal form is its own.
func FuzzE164(f *testing.F) {
	for _, seed := range []string{"+14155550123", "(415) 555-0123", "0014155550123", "٣٣١٢٣٤٥٦", "+44 (0)20 7946 0958", "+1;ext=5", "+", "\xff\xfe"} {
		f.Add(seed, "US")
		f.Add(seed, "")
		f.Add(seed, "IT")
	}
	f.Fuzz(func(t *testing.T, number, country string) {
		got, err := phone.Numbers{}.E164(number, country)
		if err != nil {
			return
		}
		if !e164.MatchString(got) {
			t.Fatalf("E164(%q, %q) = %q is not E.164", number, country, got)
		}
		if again, err := (phone.Numbers{}).E164(got, ""); err != nil || again != got {
			t.Fatalf("E164(%q) = %q, %v: a normal form must be its own", got, again, err)
		}
	})
}
