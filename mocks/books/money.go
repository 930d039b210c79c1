package books

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseYuan reads yuan with at most two decimals ("46.19", "15") into fen.
// Signs, exponents, blanks and a third decimal are errors.
func ParseYuan(s string) (int64, error) {
	whole, part, dotted := strings.Cut(s, ".")
	if dotted && part == "" || len(part) > 2 || whole == "" || len(whole) > 15 {
		return 0, fmt.Errorf("not an amount in yuan")
	}
	for len(part) < 2 {
		part += "0"
	}
	fen := int64(0)
	for _, r := range whole + part {
		if r < '0' || r > '9' {
			return 0, fmt.Errorf("not an amount in yuan")
		}
		fen = fen*10 + int64(r-'0')
	}
	return fen, nil
}

// Yuan writes fen as yuan with two decimals.
func Yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	part := strconv.FormatInt(fen%100, 10)
	if len(part) == 1 {
		part = "0" + part
	}
	return sign + strconv.FormatInt(fen/100, 10) + "." + part
}
