package pg

import "github.com/feddi/feddi/core/tenancy"

// Mode is the smallint that tables keep for a mode: 1 sandbox, 2 production.
// Anything else is 0, which every table refuses.
func Mode(m tenancy.Mode) int16 {
	switch m {
	case tenancy.Sandbox:
		return 1
	case tenancy.Production:
		return 2
	}
	return 0
}

// ModeOf reads back what Mode wrote; an unknown number is no mode.
func ModeOf(n int16) tenancy.Mode {
	switch n {
	case 1:
		return tenancy.Sandbox
	case 2:
		return tenancy.Production
	}
	return ""
}
