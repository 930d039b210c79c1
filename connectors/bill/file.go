// Package bill reads what bills of payment channels have in common: lines of
// text that may be a million, columns known by the names in their header, money,
// and words for what is wrong that hold nothing of what was read.
package bill

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"

	"hishub/core"
)

// MostLine is the most bytes of one line. A longer one is no bill's.
const MostLine = 64 << 10

// File is a bill being read, line by line. It holds one line at a time.
type File struct {
	name string
	in   *bufio.Reader
	line int
	last []byte // a line that was longer than the reader's buffer
}

// NewFile reads UTF-8 text. name is what faults call the bill; it must hold no secret.
func NewFile(name string, r io.Reader) *File {
	return &File{name: name, in: bufio.NewReaderSize(r, 16<<10)}
}

// Name of the bill.
func (f *File) Name() string { return f.name }

// Line is the number of the last line that Next gave, from 1; 0 before.
func (f *File) Line() int { return f.line }

var mark = []byte("\ufeff")

// Next gives the next line without its end (LF or CRLF), good until the
// next call; a byte order mark before the first line is left out. At the end of the
// bill it is io.EOF. Other errors: *core.BillFault for a line that is too long or
// no UTF-8; what the reader under it said, as it is.
func (f *File) Next() ([]byte, error) {
	line, err := f.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		f.last = append(f.last[:0], line...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(f.last) > MostLine {
				f.line++
				return nil, f.Fault("the line is longer than "+strconv.Itoa(MostLine)+" bytes", cureWhole)
			}
			line, err = f.in.ReadSlice('\n')
			f.last = append(f.last, line...)
		}
		line = f.last
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
		return nil, err
	}
	f.line++
	if f.line == 1 {
		line = bytes.TrimPrefix(line, mark)
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	// Decoders put U+FFFD where they could not read something, so that it is as wrong as
	// a byte that is no UTF-8.
	if !utf8.Valid(line) || bytes.ContainsRune(line, utf8.RuneError) {
		return nil, f.Fault("the line holds bytes that are not text in the bill's charset", cureWhole)
	}
	return line, nil
}

const cureWhole = "fetch the bill again; if it stays so, ask the channel"

// Fault is about the last line.
func (f *File) Fault(what, cure string) *core.BillFault {
	return &core.BillFault{File: f.name, Line: f.line, What: what, Cure: cure}
}

// Whole is about the bill as a whole.
func (f *File) Whole(what, cure string) *core.BillFault {
	return &core.BillFault{File: f.name, What: what, Cure: cure}
}
