//go:build race

package feddid

// Raced says that the tests run under the race detector: the program does, too,
// and takes several times as long for all that it does.
const Raced = true
