package tcp

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"hishub/connectors/charset"
	"hishub/connectors/wire"
)

// broken says what is wrong with a frame; it holds nothing of it.
type broken string

func (b broken) Error() string { return "what came is not framed as the folder says: " + string(b) }

// frame is one text as it came.
type frame struct {
	// raw is everything that was read, also of a frame that broke.
	raw []byte
	// from and to are where the text stands in raw, but for the length in between
	// when at bytes of the text stand before it.
	from, to int
	// head stands before the length.
	head []byte
	// open: the last byte of an MLLP frame had not come. It may follow.
	open bool
	// receipt is the frame before it, which only said that ours came.
	receipt []byte
}

// holds reports whether the text has that in it, if there is any.
func (f *frame) holds(what []byte) bool {
	return len(what) > 0 && bytes.Contains(f.content(), what)
}

func (f *frame) content() []byte {
	if len(f.head) == 0 {
		return f.raw[f.from:f.to]
	}
	return append(append([]byte(nil), f.head...), f.raw[f.from:f.to]...)
}

// read reads the next frame and no byte beyond it. Its text has at most so many
// bytes, else the error is wire.ErrTooLarge. The error is io.EOF if the
// connection ended before the first byte, and io.ErrUnexpectedEOF within.
func (f *Framing) read(r *bufio.Reader, most int64) (*frame, error) {
	x := &reading{Reader: r, f: f, most: most}
	var err error
	switch {
	case f.mllp:
		err = x.block()
	case f.length != nil:
		err = x.counted()
	default:
		err = x.ended()
	}
	if err == io.EOF && len(x.raw) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return &x.frame, err
}

// reading is a frame that is being read.
type reading struct {
	*bufio.Reader
	frame
	f    *Framing
	most int64
}

// block reads an MLLP frame.
func (x *reading) block() error {
	b, err := x.ReadByte()
	if err == nil && b == blockLast {
		// The end of the frame before, which came late.
		b, err = x.ReadByte()
	}
	if err != nil {
		return err
	}
	x.raw = append(x.raw, b)
	if b != blockStart {
		return broken("data stands outside a frame, before 0x0B")
	}
	x.from = 1
	if err := x.until(blockEnd); err != nil {
		return err
	}
	x.to = len(x.raw) - 1
	if bytes.IndexByte(x.raw[1:x.to], blockStart) >= 0 {
		return broken("0x0B stands in the midst of a frame")
	}
	if x.Buffered() == 0 {
		// Some never send the last byte. To wait for it would cost each exchange its
		// deadline.
		x.open = true
		return nil
	}
	if last, _ := x.Peek(1); last[0] != blockLast {
		return broken("0x1C is not followed by 0x0D")
	}
	x.raw = append(x.raw, blockLast)
	_, err = x.Discard(1)
	return err
}

// until reads up to that byte.
func (x *reading) until(end byte) error {
	for {
		part, err := x.ReadSlice(end)
		x.raw = append(x.raw, part...)
		if int64(len(x.raw)-x.from) > x.most+int64(len(x.f.end))+1 {
			return x.tooLarge()
		}
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}

func (x *reading) tooLarge() error {
	x.raw = x.raw[:int64(x.from)+min(x.most, int64(len(x.raw)-x.from))]
	return wire.ErrTooLarge
}

// expect reads what must stand here.
func (x *reading) expect(want []byte, otherwise broken) error {
	for _, w := range want {
		b, err := x.ReadByte()
		if err != nil {
			return err
		}
		x.raw = append(x.raw, b)
		if b != w {
			return otherwise
		}
	}
	return nil
}

// take reads so many bytes. What is announced and never comes takes no memory.
func (x *reading) take(n int64) error {
	for n > 0 {
		part, err := x.Peek(int(min(n, int64(x.Size()))))
		if len(part) == 0 {
			return err
		}
		x.raw = append(x.raw, part...)
		n -= int64(len(part))
		if _, err := x.Discard(len(part)); err != nil {
			return err
		}
	}
	return nil
}

// counted reads a frame that says how long it is.
func (x *reading) counted() error {
	l := x.f.length
	if err := x.expect(x.f.prefix, "it does not begin with framing.prefix"); err != nil {
		return err
	}
	if err := x.take(int64(l.at)); err != nil {
		return err
	}
	x.head = x.raw[len(x.f.prefix):len(x.raw):len(x.raw)]
	number := len(x.raw)
	if err := x.take(int64(l.size)); err != nil {
		return err
	}
	n, err := l.read(x.raw[number:])
	if err != nil {
		return err
	}
	x.from, x.to = len(x.raw), len(x.raw)
	if n > x.most {
		return wire.ErrTooLarge
	}
	if l.counts == countsBytes {
		err = x.take(n)
	} else {
		err = x.characters(n)
	}
	if err != nil {
		return err
	}
	x.to = len(x.raw)
	return x.expect(x.f.suffix, "its text is not followed by framing.suffix: is the length right?")
}

// characters reads so many characters. Each has one byte at least, so as many
// bytes as characters are missing never reach into what follows.
func (x *reading) characters(n int64) error {
	known := x.from // up to here the text is counted
	for n > 0 {
		if int64(len(x.raw)-x.from) > x.most {
			return x.tooLarge()
		}
		more := n
		if x.f.length.counts == countsUTF16 && known < len(x.raw) {
			more = max(1, n-1) // the character that is begun may count for two
		}
		if err := x.take(more); err != nil {
			return err
		}
		text, size, err := whole(x.f.charset, x.raw[known:])
		if err != nil {
			return err
		}
		known += size
		n -= int64(x.f.length.count(text))
	}
	if n < 0 {
		return broken("its length ends within a character")
	}
	return nil
}

// mostCharacter is the most bytes of a character in any charset that we have.
const mostCharacter = 4

// whole is the text of the characters that are complete, and how many bytes they
// have.
func whole(c *charset.Charset, b []byte) (text string, size int, err error) {
	for cut := 0; cut < mostCharacter && cut <= len(b); cut++ {
		if text, err := c.Decode(b[:len(b)-cut]); err == nil {
			return text, len(b) - cut, nil
		}
	}
	return "", 0, broken("its text is not in the charset")
}

// ended reads a frame up to its end.
func (x *reading) ended() error {
	if err := x.expect(x.f.prefix, "it does not begin with framing.prefix"); err != nil {
		return err
	}
	x.from = len(x.raw)
	find := &finder{charset: x.f.charset, end: x.f.end}
	for {
		if err := x.until(x.f.end[len(x.f.end)-1]); err != nil {
			return err
		}
		at, err := find.find(x.raw[x.from:])
		if err != nil {
			return err
		}
		if at >= 0 {
			x.to = x.from + at
			if x.f.endInText {
				x.to = len(x.raw)
			}
			return nil
		}
	}
}

// finder finds the end of a text that grows. In the Chinese charsets a byte of
// ASCII may be the second half of a character, so the end must stand where a
// character begins.
type finder struct {
	charset *charset.Charset
	end     []byte
	looked  int // no end begins before
	known   int // a character begins here
}

// find is where the end begins, -1 if it is not there.
func (f *finder) find(b []byte) (int, error) {
	for {
		i := bytes.Index(b[f.looked:], f.end)
		if i < 0 {
			f.looked = max(f.looked, len(b)-len(f.end)+1)
			return -1, nil
		}
		i += f.looked
		if f.end[0] < '0' || f.charset.Name() == "UTF-8" {
			return i, nil // such a byte is never a part of another character
		}
		_, size, err := whole(f.charset, b[f.known:i])
		if err != nil {
			return -1, err
		}
		f.known += size
		if f.known == i {
			return i, nil
		}
		f.looked = i + 1
	}
}

// one reads bytes that are one whole frame and nothing else.
func (f *Framing) one(b []byte) ([]byte, error) {
	r := bufio.NewReaderSize(bytes.NewReader(b), len(b)+1)
	x, err := f.read(r, int64(len(b)))
	if err != nil {
		return nil, err
	}
	if r.Buffered() > 0 || len(x.raw) < len(b) {
		return nil, errors.New("more follows the frame")
	}
	return x.content(), nil
}

// unframe is the text of one whole frame, or b itself where it is none: people
// who record an answer often have only what was in it.
func (f *Framing) unframe(b []byte) ([]byte, error) {
	content, err := f.one(b)
	if err == nil {
		return content, nil
	}
	if f.mllp && bytes.IndexByte(b, blockStart) == 0 || len(f.prefix) > 0 && bytes.HasPrefix(b, f.prefix) {
		return nil, err
	}
	return b, nil
}
