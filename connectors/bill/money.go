package bill

import (
	"time"

	"hishub/core"
)

// Zone is the clock of the Chinese payment channels. China has had no summer time since 1991.
var Zone = time.FixedZone("CST", 8*60*60)

// TimeLayout is how the channels write a time.
const TimeLayout = "2006-01-02 15:04:05"

// Yuan reads yuan with at most two decimals into fen. The error names no digit.
func Yuan(cell []byte) (core.Fen, error) {
	if n, ok := decimal(cell, 2); ok {
		return core.Fen(n), nil
	}
	return core.ParseYuan(string(cell))
}

// Fee reads yuan with at most five decimals into 1/1000 fen.
func Fee(cell []byte) (core.Millifen, error) {
	if n, ok := decimal(cell, 5); ok {
		return core.Millifen(n), nil
	}
	return core.ParseMillifen(string(cell))
}

// decimal reads plain text of digits with at most so many decimals, as units of
// the last one. It is the way of nearly every cell of a bill with a million
// lines; what it does not take, core's parsers judge.
func decimal(cell []byte, decimals int) (int64, bool) {
	negative := len(cell) > 0 && cell[0] == '-'
	if negative {
		cell = cell[1:]
	}
	if len(cell) == 0 || len(cell) > 12 { // far below what an int64 holds, also with five decimals
		return 0, false
	}
	var n int64
	point := -1
	for i, c := range cell {
		switch {
		case c == '.' && point < 0 && i > 0 && i < len(cell)-1:
			point = i
		case c >= '0' && c <= '9':
			n = n*10 + int64(c-'0')
		default:
			return 0, false
		}
	}
	have := 0
	if point >= 0 {
		have = len(cell) - point - 1
	}
	if have > decimals {
		return 0, false
	}
	for ; have < decimals; have++ {
		n *= 10
	}
	if negative {
		n = -n
	}
	return n, true
}

// whole reads a number of at most nine digits.
func whole(cell []byte) (int, bool) {
	if len(cell) == 0 || len(cell) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range cell {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// Checked adds amounts without wrapping around: a bill that is damaged just so
// must not come to the right sum. What does not fit stays what no sum can be.
type Checked struct {
	sum  int64
	over bool
}

// Add an amount.
func (c *Checked) Add(n int64) {
	s := c.sum + n
	if (s > c.sum) != (n > 0) && n != 0 {
		c.over = true
	}
	c.sum = s
}

// Is reports whether the sum is that.
func (c *Checked) Is(n int64) bool { return !c.over && c.sum == n }
