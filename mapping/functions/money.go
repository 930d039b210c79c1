package functions

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"hishub/core"
)

var errTooLarge = errors.New("the amount is too large")

func money() []Function {
	return []Function{
		define("yuan", `yuan(money) text: yuan with two decimals, "12.05"`, func(in *arguments) (any, error) {
			return in.money(0).String(), nil
		}, new(func(core.Fen) string)),

		define("fen", `fen(money) text: whole fen, "1205"`, func(in *arguments) (any, error) {
			return strconv.FormatInt(int64(in.money(0)), 10), nil
		}, new(func(core.Fen) string)),

		reader("from_yuan", "from_yuan(text) money: reads yuan; a part of a fen other than zero is an error; nil gives nil", func(in *arguments) (any, error) {
			return core.ParseYuan(in.decimalText(0))
		}, new(func(Decimal) core.Fen)),

		reader("from_fen", `from_fen(text) money: reads whole fen, "1205" or "1205.00"; nil gives nil`, func(in *arguments) (any, error) {
			return parseFen(in.decimalText(0))
		}, new(func(Decimal) core.Fen)),

		define("total", "total(list) money: the sum of a list of money, zero of an empty one", func(in *arguments) (any, error) {
			var sum core.Fen
			for _, v := range in.list(0) {
				m, ok := v.(core.Fen)
				if v == nil {
					return nil, errors.New("an amount in the list is missing")
				}
				if !ok {
					return nil, unfit("a list of money", v)
				}
				var err error
				if sum, err = plus(sum, m); err != nil {
					return nil, err
				}
			}
			return sum, nil
		}, new(func([]any) core.Fen)),

		define("neg", "neg(money) money: the same amount the other way", func(in *arguments) (any, error) {
			return minus(0, in.money(0))
		}, new(func(core.Fen) core.Fen)),
	}
}

func parseFen(text string) (core.Fen, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if strings.Trim(fraction, "0") != "" {
		return 0, errors.New("amount has a part of a fen")
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, errTooLarge
	}
	return core.Fen(n), nil
}

func plus(a, b core.Fen) (core.Fen, error) {
	if (b > 0 && a > math.MaxInt64-b) || (b < 0 && a < math.MinInt64-b) {
		return 0, errTooLarge
	}
	return a + b, nil
}

func minus(a, b core.Fen) (core.Fen, error) {
	if (b < 0 && a > math.MaxInt64+b) || (b > 0 && a < math.MinInt64+b) {
		return 0, errTooLarge
	}
	return a - b, nil
}
