//go:build race

package feddid

// raced says that the tests run under the race detector: the program does, too.
const raced = true
