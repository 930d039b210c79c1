package reconcile

import "hash/maphash"

// filter lets through what was added, and a little more (a Bloom filter).
type filter struct {
	bits    []uint64
	seed    maphash.Seed
	lengths []int // of cut numbers
	long    [longest + 1]bool
	// bookings: somebody asks for the HIS's own.
	bookings bool
}

// newFilter for the names of so many entries; 4 MB at most.
func newFilter(entries int64) *filter {
	words := 16
	for int64(words) < entries && words < 1<<19 {
		words *= 2
	}
	return &filter{bits: make([]uint64, words), seed: maphash.MakeSeed()}
}

func (f *filter) places(name []byte) (a, b uint64) {
	h := maphash.Bytes(f.seed, name)
	n := uint64(len(f.bits)) * 64
	return h & (n - 1), (h >> 32) & (n - 1)
}

func (f *filter) add(name []byte) {
	a, b := f.places(name)
	f.bits[a/64] |= 1 << (a % 64)
	f.bits[b/64] |= 1 << (b % 64)
	switch name[0] {
	case numberHead, numberTail, channelHead, channelTail:
		f.long[len(name)-2] = true
	case bookedAs, bookedUnder:
		f.bookings = true
	}
}

func (f *filter) settle() {
	for n, ok := range f.long {
		if ok {
			f.lengths = append(f.lengths, n)
		}
	}
}

func (f *filter) has(name []byte) bool {
	a, b := f.places(name)
	return f.bits[a/64]&(1<<(a%64)) != 0 && f.bits[b/64]&(1<<(b%64)) != 0
}
