package decision

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// digits is the alphabet of the system's ids.
const digits = "0123456789abcdefghjkmnpqrstvwxyz"

// TraceID derives the id of a trace from what it is a function of, so that the
// same question asked again names the same trace (rule 47). Equal parts, in
// equal order, give equal ids; 128 bits of SHA-256 make others differ.
func TraceID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		// The length keeps ("ab", "c") apart from ("a", "bc").
		h.Write(strconv.AppendInt(nil, int64(len(p)), 10))
		h.Write([]byte{':'})
		h.Write([]byte(p))
	}
	sum := h.Sum(nil)
	hi, lo := binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])
	id := [29]byte{'d', 't', '_'}
	for i := len(id) - 1; i > 2; i-- {
		id[i] = digits[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(id[:])
}
