// Package phone normalises phone numbers to E.164 with Google's metadata.
package phone

import (
	"errors"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"github.com/feddi/feddi/core/identity"
)

// Numbers implements identity.Phones. The zero value is ready; safe for
// concurrent use.
type Numbers struct{}

var _ identity.Phones = Numbers{}

// What can be wrong with a number, for a person; none of these repeats it.
var (
	errLetters = errors.New("the phone holds characters that no number has")
	errCountry = errors.New("the phone has no country code, and the merchant's country does not give one")
	errShort   = errors.New("the phone is too short to be a number")
	errLong    = errors.New("the phone is too long to be a number")
	errNumber  = errors.New("the phone cannot be a number")
)

// E164 implements identity.Phones. Blanks and the punctuation that people
// write (-, ., /, parentheses) do not count, nor does the script of the digits.
// A number of a possible length is enough: whether it is assigned is for the
// message that is sent to it to show. Letters and extensions are refused: a
// message cannot be sent to an extension, and dropping one would make two
// people one customer.
func (Numbers) E164(number, country string) (string, error) {
	if err := plain(number); err != nil {
		return "", err
	}
	parsed, err := phonenumbers.Parse(number, strings.ToUpper(country))
	if err != nil {
		return "", reason(err)
	}
	switch phonenumbers.IsPossibleNumberWithReason(parsed) {
	case phonenumbers.IS_POSSIBLE:
	case phonenumbers.INVALID_COUNTRY_CODE:
		return "", errCountry
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return "", errShort
	case phonenumbers.TOO_LONG:
		return "", errLong
	default:
		return "", errNumber
	}
	e164 := phonenumbers.Format(parsed, phonenumbers.E164)
	if len(e164) > maxE164 {
		return "", errLong
	}
	return e164, nil
}

// maxE164 is + and 15 digits.
const maxE164 = 16

// plain refuses whatever is neither digit nor punctuation of a number. A + is
// allowed in front only.
func plain(number string) error {
	for i, r := range strings.TrimSpace(number) {
		switch {
		case unicode.IsDigit(r), unicode.IsSpace(r), strings.ContainsRune("-./()\u2010\u2011\u2012\u2013\u00ad\u200e\u200f", r):
		case (r == '+' || r == '\uff0b') && i == 0:
		default:
			return errLetters
		}
	}
	return nil
}

func reason(err error) error {
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return errCountry
	case errors.Is(err, phonenumbers.ErrTooShortAfterIDD), errors.Is(err, phonenumbers.ErrTooShortNSN):
		return errShort
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return errLong
	}
	return errNumber
}
