// Package shape turns what the core knows into the messages of the partner
// surface that several answers share: sessions, offers, grants, balances,
// transactions. It decides nothing.
package shape
