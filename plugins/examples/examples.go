// Package examples holds actuators as a merchant would write them: each folder
// is a whole program. `feddi actuator new` hands out punchcard as a beginning.
package examples

import "embed"

// Punchcard is the program that `feddi actuator new` begins with.
//
//go:embed punchcard/*.go punchcard/README.md
var Punchcard embed.FS

// Module and Sum are the go.mod and go.sum of a module of its own that imports
// plugins/sdk and its test suite, and nothing else of Feddi; MODULE and VERSION
// stand for what `feddi actuator new` fills in. TestTheModuleIsTidy says how to
// make them anew.
var (
	//go:embed module/go.mod.txt
	Module string
	//go:embed module/go.sum.txt
	Sum string
)
