package stage

import (
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"syscall"
)

// A record is a code in a magazine.
const (
	valueAt   = 4 // behind the merchant
	sessionAt = valueAt + 29
	amountAt  = sessionAt + 29
	record    = amountAt + 3
)

// Magazine holds codes outside of the garbage collector's heap: hundreds of
// thousands of them in it would make the server, which shares the process,
// collect less often than it does in production.
type Magazine struct {
	raw []byte
	n   int
}

func newMagazine(n int) (*Magazine, error) {
	raw, err := syscall.Mmap(-1, 0, max(1, n)*record, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("memory for %d codes: %w", n, err)
	}
	return &Magazine{raw, n}, nil
}

// Close gives the memory back; no Code may be used any more.
func (m *Magazine) Close() {
	_ = syscall.Munmap(m.raw) // it was mapped
	m.raw, m.n = nil, 0
}

// Len is how many codes there are.
func (m *Magazine) Len() int { return m.n }

// Keep forgets all but the first n codes.
func (m *Magazine) Keep(n int) { m.n = min(m.n, n) }

// At is the code at i. It points into the magazine.
func (m *Magazine) At(i int) Code {
	r := m.raw[i*record : (i+1)*record]
	return Code{
		Merchant: int(binary.LittleEndian.Uint32(r)), Value: r[valueAt:sessionAt], Session: r[sessionAt:amountAt], Amount: r[amountAt:],
	}
}

func (m *Magazine) put(i, merchant int, value, session string, minor int64) {
	r := m.raw[i*record : (i+1)*record]
	binary.LittleEndian.PutUint32(r, uint32(merchant))
	copy(r[valueAt:sessionAt], value)
	copy(r[sessionAt:amountAt], session)
	copy(r[amountAt:], fmt.Sprintf("%03d", minor))
}

func (m *Magazine) shuffle() {
	var spare [record]byte
	mathrand.Shuffle(m.n, func(i, j int) {
		a, b := m.raw[i*record:(i+1)*record], m.raw[j*record:(j+1)*record]
		copy(spare[:], a)
		copy(a, b)
		copy(b, spare[:])
	})
}
