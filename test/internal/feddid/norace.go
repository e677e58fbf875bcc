//go:build !race

package feddid

// Raced is false: see race.go.
const Raced = false
