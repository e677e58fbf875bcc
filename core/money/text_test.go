package money_test

import (
	"testing"

	"github.com/feddi/feddi/core/money"
)

func TestText(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		minor    int64
		currency string
	}{
		"12.75 USD": {1275, "USD"}, "0.05 USD": {5, "USD"}, "-0.05 USD": {-5, "USD"}, "1275 JPY": {1275, "JPY"}, "0.00 QAR": {0, "QAR"}, "0.001 KWD": {1, "KWD"}, "1.275 KWD": {1275, "KWD"},
	} {
		if got := money.Text(c.minor, c.currency); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
