// Package feddi answers the operations of the partner surface, one file for
// each area: it turns messages into the inputs of use cases and their results
// into messages, and decides nothing. The _map files hold the shapes that
// several answers share.
package feddi
