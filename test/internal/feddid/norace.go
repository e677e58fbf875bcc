//go:build !race

package feddid

const raced = false
