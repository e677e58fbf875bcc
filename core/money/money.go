// Package money is the arithmetic of minor units: checked, integer, and never
// across money classes. Amounts are int64 counts of a currency's minor unit
// (cents, dirhams); there is no float and no decimal type in the domain.
package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// MaxMinor is the largest amount a single operation may carry: 10^12 minor units.
const MaxMinor int64 = 1_000_000_000_000

// ErrOverflow says that a sum or product left the range of int64.
var ErrOverflow = errors.New("money: amount overflows")

// Class is a money class. Classes are never mixed and never summed (rule 22).
type Class string

// The money classes of the ledger.
const (
	Actual  Class = "actual"  // deposits of the customer
	Promo   Class = "promo"   // promotional credit, held as lots
	Points  Class = "points"  // loyalty points
	Gift    Class = "gift"    // gift value
	Funding Class = "funding" // a partner's prefunding
)

// Currency is an upper-case ISO 4217 code, for example "USD".
type Currency string

// Valid reports whether c has the form of an ISO 4217 code. Whether it is
// enabled is for the merchant's settings to say.
func (c Currency) Valid() bool {
	if len(c) != 3 {
		return false
	}
	for i := range 3 {
		if c[i] < 'A' || c[i] > 'Z' {
			return false
		}
	}
	return true
}

// exponents lists the currencies whose minor unit is not a hundredth.
var exponents = map[Currency]int{
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0,
	"PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}

// Exponent is the number of decimal digits of c's minor unit, for display only.
func (c Currency) Exponent() int {
	if e, ok := exponents[c]; ok {
		return e
	}
	return 2
}

// Text writes an amount as people read it, for example "12.75 USD".
func Text(minor int64, currency string) string {
	digits := Currency(currency).Exponent()
	if digits == 0 {
		return fmt.Sprintf("%d %s", minor, currency)
	}
	sign, unit := "", int64(1)
	if minor < 0 {
		sign, minor = "-", -minor
	}
	for range digits {
		unit *= 10
	}
	return fmt.Sprintf("%s%d.%0*d %s", sign, minor/unit, digits, minor%unit, currency)
}

// Add returns a+b, or ErrOverflow.
func Add(a, b int64) (int64, error) {
	s := a + b
	if (a > 0 && b > 0 && s < 0) || (a < 0 && b < 0 && s >= 0) {
		return 0, ErrOverflow
	}
	return s, nil
}

// Mul returns a*b, or ErrOverflow. Used for quantity times unit price.
func Mul(a, b int64) (int64, error) {
	if a == 0 || b == 0 {
		return 0, nil
	}
	p := a * b
	if p/b != a || (a == -1 && b == math.MinInt64) || (b == -1 && a == math.MinInt64) {
		return 0, ErrOverflow
	}
	return p, nil
}

// BasisPoints returns amount*bp/10000 rounded towards zero, without
// intermediate overflow. amount and bp must not be negative; bp above 10000
// gives more than the amount. A negative input returns 0.
func BasisPoints(amount, bp int64) int64 {
	if amount <= 0 || bp <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(amount), uint64(bp))
	if hi >= 10_000 {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, 10_000)
	if q > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(q)
}

// Split divides total over weights by largest remainder: the parts sum to
// total exactly, and no part is negative for non-negative input. Weights that
// are all zero put everything on the first part.
func Split(total int64, weights []int64) []int64 {
	parts := make([]int64, len(weights))
	if len(weights) == 0 || total <= 0 {
		return parts
	}
	var sum uint64
	for _, w := range weights {
		sum += uint64(max(w, 0))
	}
	if sum == 0 {
		parts[0] = total
		return parts
	}
	left := total
	remainders := make([]uint64, len(weights))
	for i, w := range weights {
		hi, lo := bits.Mul64(uint64(total), uint64(max(w, 0)))
		q, r := bits.Div64(hi, lo, sum)
		parts[i], remainders[i] = int64(q), r
		left -= int64(q)
	}
	for ; left > 0; left-- {
		best := 0
		for i := range remainders {
			if remainders[i] > remainders[best] {
				best = i
			}
		}
		parts[best]++
		remainders[best] = 0
	}
	return parts
}
