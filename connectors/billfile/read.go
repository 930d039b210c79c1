package billfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"

	"hishub/connectors/bill"
	"hishub/core"
)

// Bill implements core.Biller.
func (c *Connector) Bill(ctx context.Context, day string, emit func(core.BillEntry) error) (core.BillTotals, error) {
	date, err := time.ParseInLocation(time.DateOnly, day, bill.Zone)
	if err != nil {
		return core.BillTotals{}, &core.Fault{Class: core.Invalid, Op: "file bill", Err: errors.New("the day is not a date like 2026-01-05")}
	}
	// Nothing outside of the folder is opened, wherever a link in it leads.
	root, err := os.OpenRoot(c.folder)
	if err != nil {
		// A share that is not mounted is another thing than a bill that has not come.
		return core.BillTotals{}, unreadable("the folder cannot be opened", err)
	}
	defer root.Close()
	if c.ready != nil {
		if _, err := root.Stat(c.ready.write(date)); errors.Is(err, fs.ErrNotExist) {
			return core.BillTotals{}, core.ErrBillNotReady
		} else if err != nil {
			return core.BillTotals{}, unreadable("the file of option ready cannot be looked at", err)
		}
	}
	name := c.name.write(date)
	// Looked at before it is opened: opening a pipe would wait for who writes it.
	before, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return core.BillTotals{}, core.ErrBillNotReady
	case err != nil:
		return core.BillTotals{}, unreadable("the bill cannot be looked at", err)
	case !before.Mode().IsRegular():
		return core.BillTotals{}, &core.BillFault{File: name, What: "it is not a file"}
	}
	file, err := root.Open(name)
	if err != nil {
		return core.BillTotals{}, unreadable("the bill cannot be opened", err)
	}
	defer file.Close()
	// Not beyond what was there: one that somebody is writing may never end.
	totals, err := c.read(ctx, name, date, io.LimitReader(file, before.Size()), emit)
	if after, e := file.Stat(); e == nil && (after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime())) {
		return core.BillTotals{}, core.ErrBillNotReady // somebody is still writing it
	}
	return totals, err
}

// unreadable says what the system says, without a path.
func unreadable(what string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &core.Fault{Class: core.Unavailable, Op: "file bill", Err: fmt.Errorf("%s: %w", what, err)}
}

const askAgain = "ask the channel for the file again"

// reading is one bill on its way through.
type reading struct {
	*Connector
	*bill.File
	day   time.Time
	emit  func(core.BillEntry) error
	table *bill.Table
	// at is the place of a field among the table's columns, back where refunds have it; -1 is nowhere.
	at, back map[string]int
	rows     int // all, ignored ones among them
	// first and last are what the file says of itself, nil before it was read.
	first, last map[string]string
	firstLine   int
	core.BillTotals
}

// read reads a whole bill.
func (c *Connector) read(ctx context.Context, name string, day time.Time, from io.Reader, emit func(core.BillEntry) error) (core.BillTotals, error) {
	digest := sha256.New()
	source := &bill.Source{R: io.TeeReader(from, digest)}
	var text = bill.Bounded(name, source, c.maxBill)
	if c.gb {
		// Decoded before it is split: in GB18030 a | may be the half of a character.
		text = transform.NewReader(text, simplifiedchinese.GB18030.NewDecoder())
	}
	r := &reading{Connector: c, File: bill.NewFile(name, text), day: day, emit: emit}
	for {
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if source.Err != nil {
			return core.BillTotals{}, unreadable("the bill cannot be read to its end", source.Err)
		}
		if err == nil {
			err = r.take(line)
		}
		if err != nil {
			return core.BillTotals{}, err
		}
		if r.Line()%1024 == 0 && ctx.Err() != nil {
			return core.BillTotals{}, &core.Fault{Class: core.Unavailable, Op: "file bill", Err: ctx.Err()}
		}
	}
	if err := r.end(); err != nil {
		return core.BillTotals{}, err
	}
	r.Digest = hex.EncodeToString(digest.Sum(nil))
	return r.BillTotals, nil
}

// take judges which sort of line it is.
func (r *reading) take(line []byte) error {
	if len(bill.Clean(line)) == 0 {
		return nil
	}
	if r.Connector.first != nil && r.first == nil {
		var ok bool
		if r.first, ok = r.Connector.first.read(string(line), r.delimiter); !ok {
			return r.Fault("the first line is not written like option first", askAgain+", or correct the option")
		}
		r.firstLine = r.Line()
		return nil
	}
	if r.last != nil {
		return r.Fault("there are lines behind the one of option last", askAgain+", or correct the option")
	}
	if r.Connector.last != nil && r.Connector.last.fits(line) {
		if said, ok := r.Connector.last.read(string(line), r.delimiter); ok {
			r.last = said
			return r.check(said, r.Line())
		}
	}
	if r.table == nil {
		if err := r.header(line); err != nil || r.named {
			return err
		}
	}
	return r.row(line)
}

// end judges the bill as a whole.
func (r *reading) end() error {
	switch {
	case r.Connector.first != nil && r.first == nil:
		return r.Whole("it is empty, and must begin with the line of option first", askAgain)
	case r.Connector.last != nil && r.last == nil:
		return r.Fault("the bill ends without the line of option last; it is probably cut", askAgain)
	case r.named && r.table == nil:
		return r.Fault("there is no line with the names of the columns", askAgain)
	}
	return r.check(r.first, r.firstLine)
}

// header reads the names of the columns. A table without them is read as if
// its columns were named by their numbers.
func (r *reading) header(line []byte) error {
	if !r.named {
		cells, err := r.split(line, nil)
		if err != nil {
			return r.Fault("the row cannot be split: "+err.Error(), askAgain)
		}
		line = numbers(len(cells), r.delimiter)
	}
	var columns []bill.Column
	place := func(names map[string]string) map[string]int {
		at := map[string]int{}
		for _, f := range fields {
			name, there := names[f]
			switch {
			case !there:
			case name == "":
				at[f] = -1 // refunds have no such thing
			default:
				at[f] = len(columns)
				columns = append(columns, bill.Need(name))
			}
		}
		return at
	}
	r.at, r.back = place(r.columns), place(r.refunds)
	var err error
	r.table, err = bill.NewTable(r.File, line, r.split, columns)
	return err
}

func numbers(n int, delimiter string) []byte {
	var line []byte
	for i := range n {
		if i > 0 {
			line = append(line, delimiter...)
		}
		line = fmt.Append(line, i+1)
	}
	return line
}
