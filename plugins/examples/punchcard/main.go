// Command punchcard is an actuator for Feddi: the tenth coffee is free.
//
// Feddi asks it when a sale closes. It gives the price of one coffee as credit
// for the next visit whenever a customer has bought another ten, and otherwise
// says how many are missing.
package main

import "github.com/feddi/feddi/plugins/sdk"

func main() { sdk.Serve(punchcard{}) }
