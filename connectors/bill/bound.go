package bill

import (
	"errors"
	"fmt"
	"io"

	"hishub/core"
)

// Bounded passes at most so many bytes; more is a *core.BillFault. It stands
// behind what unpacks, so that a small packed bill cannot become a huge one.
func Bounded(name string, r io.Reader, most int64) io.Reader {
	return &bounded{name: name, r: r, left: most, most: most}
}

type bounded struct {
	name       string
	r          io.Reader
	left, most int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.fault()
	}
	// One byte over the bound is asked for, which tells a bill of just that size
	// from a larger one.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n + int(b.left), b.fault()
	}
	return n, err
}

func (b *bounded) fault() error {
	return &core.BillFault{File: b.name, What: fmt.Sprintf("it is larger than %d bytes when unpacked", b.most), Cure: "raise max_bill if such days are normal"}
}

// Source is a reader that remembers why it failed, so that a connection that
// broke can be told from a file that is damaged: unpackers hide the one behind
// the other.
type Source struct {
	R   io.Reader
	Err error // nil at the end of the file
}

func (s *Source) Read(p []byte) (int, error) {
	n, err := s.R.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.Err = err
	}
	return n, err
}
