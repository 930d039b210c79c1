package core

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// Fen is an amount of money in fen (1/100 yuan). There is no other
// representation of money inside hishub; yuan exist only on a HIS's wire.
type Fen int64

// String is the amount in yuan with two decimals, "12.05" or "-0.30".
func (f Fen) String() string {
	sign := ""
	u := uint64(f)
	if f < 0 {
		sign, u = "-", -u
	}
	part := u % 100
	return sign + strconv.FormatUint(u/100, 10) + "." + string([]byte{byte('0' + part/10), byte('0' + part%10)})
}

// ParseYuan reads yuan as a HIS writes them ("21.5", "500", "0.0", "10.00",
// "1,024.00" is refused). A part of a fen other than zero is an error.
func ParseYuan(s string) (Fen, error) {
	r, err := parseDecimal(s)
	if err != nil {
		return 0, err
	}
	r.Mul(r, big.NewRat(100, 1))
	if !r.IsInt() {
		return 0, errors.New("amount has a part of a fen")
	}
	if !r.Num().IsInt64() {
		return 0, errors.New("amount is too large")
	}
	return Fen(r.Num().Int64()), nil
}

// LineAmount is what a line of qty at unitPrice (yuan, up to four decimals)
// costs: the product rounded half up to a fen, 12 x 1.7917 = 21.50. A bill is
// the sum of its rounded lines.
func LineAmount(qty, unitPrice string) (Fen, error) {
	if f, ok := smallLineAmount(qty, unitPrice); ok {
		return f, nil
	}
	return exactLineAmount(qty, unitPrice)
}

func exactLineAmount(qty, unitPrice string) (Fen, error) {
	q, err := parseDecimal(qty)
	if err != nil {
		return 0, err
	}
	p, err := parseDecimal(unitPrice)
	if err != nil {
		return 0, err
	}
	q.Mul(q, p).Mul(q, big.NewRat(100, 1))
	return roundHalfUp(q)
}

// smallLineAmount is LineAmount for what lines are in practice: plain decimals
// whose product fits 64 bits. It is asked for each line of each message, and costs
// a twentieth of the exact numbers of any size. ok is false for all the rest.
func smallLineAmount(qty, unitPrice string) (_ Fen, ok bool) {
	q, qUnit, ok := smallDecimal(qty)
	if !ok {
		return 0, false
	}
	p, pUnit, ok := smallDecimal(unitPrice)
	if !ok {
		return 0, false
	}
	// q and p are below 10^9, the units at most 10^6 each: these do not overflow.
	n, unit := q*p, qUnit*pUnit
	if unit < 100 {
		if n > 1e15 {
			return 0, false
		}
		return Fen(n * (100 / unit)), true
	}
	unit /= 100
	return Fen((n + unit/2) / unit), true
}

// smallDecimal reads a decimal without a sign, of up to nine digits of which up to
// six are a fraction, as digits and the power of ten that they are divided by.
func smallDecimal(s string) (digits, unit int64, ok bool) {
	unit = 1
	point, n := false, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if n++; n > 9 {
				return 0, 0, false
			}
			digits = 10*digits + int64(c-'0')
			if point {
				unit *= 10
			}
		case c == '.' && !point && n > 0 && i < len(s)-1:
			point = true
		default:
			return 0, 0, false
		}
	}
	return digits, unit, n > 0 && unit <= 1e6
}

func roundHalfUp(r *big.Rat) (Fen, error) {
	negative := r.Sign() < 0
	r.Abs(r).Add(r, big.NewRat(1, 2))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	if !n.IsInt64() {
		return 0, errors.New("amount is too large")
	}
	if negative {
		return Fen(-n.Int64()), nil
	}
	return Fen(n.Int64()), nil
}

// maxDecimal bounds the length of a decimal text: nobody bills more digits,
// and a longer one only costs time.
const maxDecimal = 24

// IsDecimal reports whether s is plain decimal text: an optional sign, digits,
// an optional fraction; at most 24 characters, no exponent.
func IsDecimal(s string) bool {
	s = strings.TrimPrefix(s, "-")
	if s == "" || len(s) > maxDecimal {
		return false
	}
	whole, fraction, dot := strings.Cut(s, ".")
	return digits(whole) && (!dot || digits(fraction))
}

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func parseDecimal(s string) (*big.Rat, error) {
	if !IsDecimal(s) {
		return nil, errors.New("not a decimal number")
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, errors.New("not a decimal number")
	}
	return r, nil
}

func ratOf(n int64) *big.Rat { return big.NewRat(n, 1) }

var errFinerThanMillifen = errors.New("amount has more than five decimals, or is too large")
