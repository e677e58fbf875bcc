package merchants

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

const (
	// maxPlaces bounds the branches and terminals of one call.
	maxPlaces = 2_000
	// maxDetails bounds how many fields at fault a refusal names.
	maxDetails = 50
)

// Validate checks what the contract's field rules cannot say. Every field at
// fault is named by its path in the request. Errors: VALIDATION_FAILED,
// UNSUPPORTED_CURRENCY, UNSUPPORTED_CREDENTIAL_TYPE, DUPLICATE_REFERENCE.
func (in Input) Validate() error {
	for _, check := range []func() error{in.zone, in.size, in.currencies, in.credentialTypes, in.references} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (in Input) zone() error {
	zone := in.Settings.TimeZone
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" || zone == "" {
		return fault.Field(fault.CodeValidationFailed, "timezone", "iana", "%q is not an IANA time zone; use one such as Asia/Qatar", zone)
	}
	return nil
}

func (in Input) size() error {
	n := 0
	for _, b := range in.Brands {
		n += len(b.Branches)
		for _, r := range b.Branches {
			n += len(r.Terminals)
		}
	}
	if n > maxPlaces {
		return fault.Field(fault.CodeValidationFailed, "brands", "max_places",
			"%d branches and terminals are more than the %d of one call; leave terminals out and register them afterwards", n, maxPlaces)
	}
	return nil
}

// currencies are those of the settings: the first is the request's currency,
// the others its currencies.
func (in Input) currencies() error {
	for i, c := range in.Settings.Currencies {
		field := "currency"
		if i > 0 {
			field = fmt.Sprintf("currencies[%d]", i-1)
		}
		switch {
		case !tenancy.KnownCurrency(c):
			return fault.Field(fault.CodeUnsupportedCurrency, field, "iso_4217", "%s is not a currency that can be enabled; use an ISO 4217 code such as USD", c)
		case slices.Contains(in.Settings.Currencies[:i], c):
			return fault.Field(fault.CodeValidationFailed, field, "unique", "%s stands there twice; name each currency once", c)
		}
	}
	return nil
}

func (in Input) credentialTypes() error {
	for i, c := range in.Settings.CredentialTypes {
		field := fmt.Sprintf("settings.supported_credential_types[%d]", i)
		switch {
		case !slices.Contains(tenancy.CredentialTypes(), c):
			return fault.Field(fault.CodeUnsupportedCredentialType, field, "known", "there is no credential type %s; use any of %s", c, strings.Join(tenancy.CredentialTypes(), ", "))
		case slices.Contains(in.Settings.CredentialTypes[:i], c):
			return fault.Field(fault.CodeValidationFailed, field, "unique", "%s stands there twice; name each type once", c)
		}
	}
	return nil
}

// references finds what stands twice where it may stand once, all over the
// request: the partner could not tell two places apart by it.
func (in Input) references() error {
	var twice []fault.Detail
	first := map[string]string{} // kind and value, to the path
	seen := func(kind, value, path string) {
		if value == "" {
			return
		}
		earlier, known := first[kind+"\x00"+value]
		if !known {
			first[kind+"\x00"+value] = path
			return
		}
		if len(twice) < maxDetails {
			twice = append(twice, fault.Detail{Field: path, Rule: "unique", Message: "stands at " + earlier + " already; give each its own"})
		}
	}
	for i, b := range in.Brands {
		at := fmt.Sprintf("brands[%d].", i)
		seen("brand", b.Reference, at+"reference")
		for j, r := range b.Branches {
			at := fmt.Sprintf("%sbranches[%d].", at, j)
			seen("branch", r.Reference, at+"reference")
			for k, t := range r.Terminals {
				at := fmt.Sprintf("%sterminals[%d].", at, k)
				seen("terminal", t.Reference, at+"reference")
				seen("serial number", t.SerialNumber, at+"serial_number")
			}
		}
	}
	if len(twice) == 0 {
		return nil
	}
	e := fault.Invalid(twice)
	e.Code = fault.CodeDuplicateReference
	return e
}
