package tcp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"hishub/connectors/option"
)

// What a length counts.
const (
	countsBytes = "bytes"
	countsChars = "chars"
	// countsUTF16 is what length() of Java and C# gives: a rare character is two.
	countsUTF16 = "utf16"
)

// length is the number that stands before a text.
type length struct {
	// size is how many bytes the number has.
	size int
	base string // decimal, hex, binary
	pad  string // zeros, spaces_before, spaces_after
	// order of a binary one.
	order  binary.ByteOrder
	counts string
	// itself is size if the number counts itself, plus what else it counts.
	itself int
	// at is how many bytes of the text stand before the number, which does not
	// count them.
	at int
}

var binarySizes = map[int]bool{1: true, 2: true, 4: true, 8: true}

func readLength(o *option.Set) *length {
	l := &length{
		base:   o.OneOf("base", "decimal", "hex", "binary"),
		counts: o.OneOf("counts", countsBytes, countsChars, countsUTF16),
		at:     o.Count("at"),
		itself: o.Count("plus"),
		order:  binary.BigEndian,
	}
	refuse := func(there bool, name, what string) {
		if there {
			o.Problem(name, what)
		}
	}
	digits, size := o.Count("digits"), o.Count("bytes")
	pad, order := o.Text("pad", ""), o.Text("order", "")
	if l.base == "binary" {
		l.size = size
		if !binarySizes[size] {
			o.Problem("bytes", "base: binary has 1, 2, 4 or 8 bytes")
		}
		refuse(digits > 0, "digits", "is for base: decimal; write bytes: 4")
		refuse(pad != "", "pad", "is for base: decimal")
		if o.OneOf("order", "big", "little") == "little" {
			l.order = binary.LittleEndian
		}
	} else {
		l.size = digits
		if digits < 1 || digits > 18 {
			o.Problem("digits", "how many digits the length has: 1 to 18")
		}
		refuse(size > 0, "bytes", "is for base: binary; write digits: 6")
		refuse(order != "", "order", "is for base: binary")
		l.pad = o.OneOf("pad", "zeros", "spaces_before", "spaces_after")
	}
	if o.Bool("includes_itself", false) {
		l.itself += l.size
	}
	return l
}

// count is how long a text is in characters.
func (l *length) count(text string) int {
	if l.counts == countsChars {
		return utf8.RuneCountInString(text)
	}
	n := 0
	for _, r := range text {
		n += utf16.RuneLen(r)
	}
	return n
}

// write appends the number for so many.
func (l *length) write(to []byte, counted int) ([]byte, error) {
	n := uint64(counted) + uint64(l.itself)
	if n > l.most() {
		unit := "bytes"
		if l.counts != countsBytes {
			unit = "characters"
		}
		return nil, fmt.Errorf("the text has %d %s, more than a length of %d %s can say", counted, unit, l.size, l.places())
	}
	switch l.base {
	case "binary":
		var b [8]byte
		if l.order == binary.LittleEndian {
			binary.LittleEndian.PutUint64(b[:], n)
			return append(to, b[:l.size]...), nil
		}
		binary.BigEndian.PutUint64(b[:], n)
		return append(to, b[8-l.size:]...), nil
	case "hex":
		return l.padded(to, fmt.Sprintf("%X", n)), nil
	}
	return l.padded(to, strconv.FormatUint(n, 10)), nil
}

func (l *length) places() string {
	if l.base == "binary" {
		return "bytes"
	}
	return "digits"
}

// most is the largest number that fits.
func (l *length) most() uint64 {
	base := uint64(10)
	switch l.base {
	case "binary":
		base = 256
	case "hex":
		base = 16
	}
	most := uint64(1)
	for range l.size {
		if most > math.MaxInt64/base {
			return math.MaxInt64
		}
		most *= base
	}
	return most - 1
}

func (l *length) padded(to []byte, digits string) []byte {
	missing := l.size - len(digits)
	switch l.pad {
	case "spaces_after":
		to = append(to, digits...)
		return append(to, bytes.Repeat([]byte(" "), missing)...)
	case "spaces_before":
		to = append(to, bytes.Repeat([]byte(" "), missing)...)
	default:
		to = append(to, bytes.Repeat([]byte("0"), missing)...)
	}
	return append(to, digits...)
}

// read is how many of the text the number says.
func (l *length) read(b []byte) (int64, error) {
	var n uint64
	if l.base == "binary" {
		var wide [8]byte
		if l.order == binary.LittleEndian {
			copy(wide[:], b)
			n = binary.LittleEndian.Uint64(wide[:])
		} else {
			copy(wide[8-len(b):], b)
			n = binary.BigEndian.Uint64(wide[:])
		}
	} else {
		base := 10
		if l.base == "hex" {
			base = 16
		}
		var err error
		// Whatever pads ours, a HIS may pad its own another way.
		if n, err = strconv.ParseUint(string(bytes.Trim(b, " ")), base, 64); err != nil {
			return 0, broken("where its length belongs stands no number")
		}
	}
	if n > math.MaxInt64 || int64(n) < int64(l.itself) {
		return 0, broken("its length cannot be true")
	}
	return int64(n) - int64(l.itself), nil
}
