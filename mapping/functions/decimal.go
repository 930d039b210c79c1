package functions

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"hishub/core"
)

const (
	// maxDigits bounds decimal text: the product of two of core's longest.
	maxDigits = 64
	maxScale  = 16
)

// decimals is arithmetic on quantities, doses and unit prices. It is exact; the
// scale of a result is what one gets on paper.
func decimals() []Function {
	return []Function{
		define("mul", `mul(a, b) text: the exact product with all its decimals, mul("2", "1.50") = "3.00"`, func(in *arguments) (any, error) {
			return spell(in.decimal(0).Mul(in.decimal(1))), nil
		}, new(func(Decimal, Decimal) string)),

		define("sum", `sum(list) text: the exact sum of a list of decimal text, "0" of an empty one`, func(in *arguments) (any, error) {
			sum := decimal.Zero
			for _, v := range in.list(0) {
				d, err := parseDecimal(v)
				if err != nil {
					return nil, err
				}
				sum = sum.Add(d)
			}
			return spell(sum), nil
		}, new(func([]any) string)),

		define("round", `round(text, n) text: n decimals, half away from zero, round("2.345", 2) = "2.35"`, func(in *arguments) (any, error) {
			n := in.int(1)
			if n < 0 || n > maxScale {
				return nil, fmt.Errorf("rounds to 0 to %d decimals", maxScale)
			}
			return in.decimal(0).StringFixed(int32(n)), nil
		}, new(func(Decimal, int) string)),

		define("trim_zeros", `trim_zeros(text) text: without trailing zeros, trim_zeros("1.50") = "1.5"`, func(in *arguments) (any, error) {
			return in.decimal(0).String(), nil
		}, new(func(Decimal) string)),

		define("number", "number(text) number: a bare JSON number with the text's scale", func(in *arguments) (any, error) {
			return core.Token(spell(in.decimal(0))), nil
		}, new(func(Decimal) core.Token)),

		define("same", `same(a, b, tolerance) true or false: whether two decimals differ by no more than the tolerance, "0.01"`, func(in *arguments) (any, error) {
			tolerance := in.decimal(2)
			if tolerance.IsNegative() {
				return nil, errors.New("the tolerance is negative")
			}
			return in.decimal(0).Sub(in.decimal(1)).Abs().LessThanOrEqual(tolerance), nil
		}, new(func(Decimal, Decimal, Decimal) bool)),
	}
}

func (in *arguments) decimal(i int) decimal.Decimal {
	d, err := parseDecimal(in.at(i))
	if err != nil {
		in.wrong(err)
	}
	return d
}

// decimalText is the checked text of a decimal, "0" where it is none.
func (in *arguments) decimalText(i int) string {
	text, err := decimalText(in.at(i))
	if err != nil {
		in.wrong(err)
		return "0"
	}
	return text
}

func parseDecimal(v any) (decimal.Decimal, error) {
	text, err := decimalText(v)
	if err != nil {
		return decimal.Zero, err
	}
	return decimal.NewFromString(text)
}

// decimalText reads an optional minus, digits and an optional fraction; there is
// no plus, no exponent, no grouping. Oracle writes a half as ".5", so the zero
// may be missing.
func decimalText(v any) (string, error) {
	if n, ok := v.(int); ok {
		return strconv.Itoa(n), nil
	}
	text, err := plain(v)
	if err != nil {
		return "", fmt.Errorf("takes decimal text: %w", err)
	}
	if text == "" {
		return "", errors.New("takes decimal text, but it is empty")
	}
	sign, digits := "", text
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	if strings.HasPrefix(digits, ".") {
		digits = "0" + digits
	}
	whole, fraction, dot := strings.Cut(digits, ".")
	if !onlyDigits(whole) || dot && !onlyDigits(fraction) {
		if bare := strings.ReplaceAll(strings.TrimPrefix(text, "+"), ",", ""); bare != text && onlyDigits(strings.Replace(bare, ".", "", 1)) {
			return "", errors.New(`takes decimal text like "12.50", but it has a + or commas; take them away by replace(text, ",", "")`)
		}
		return "", errors.New("takes decimal text like \"12.50\", but it has another form")
	}
	if len(digits) > maxDigits {
		return "", fmt.Errorf("takes decimal text of at most %d digits", maxDigits)
	}
	return sign + digits, nil
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// spell keeps the scale, which decimal's own String drops.
func spell(d decimal.Decimal) string { return d.StringFixed(max(0, -d.Exponent())) }
