// Command happyhour is an actuator for Feddi: more cashback between some hours.
//
// It takes the place of the platform's cashback for its merchant. The time is
// the sale's, in the merchant's time zone.
package main

import (
	_ "time/tzdata" // the process sees no files of the machine that it could rely on

	"github.com/feddi/feddi/plugins/sdk"
)

func main() { sdk.Serve(happyhour{}) }
