package functions_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"

	"hishub/core"
	"hishub/mapping/functions"
)

var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

type line struct {
	Name   string   `expr:"name" json:"name"`
	Qty    string   `expr:"qty" json:"qty"`
	Amount core.Fen `expr:"amount" json:"amount"`
}

type payment struct {
	Amount  core.Fen     `expr:"amount"`
	Owed    core.Fen     `expr:"owed"`
	Channel core.Channel `expr:"channel"`
	PaidAt  time.Time    `expr:"paid_at"`
	Bills   []string     `expr:"bills"`
	Lines   []line       `expr:"lines"`
}

// env is what a cell may see: a canonical body, a leaf and a tree of unknown
// shape, a number.
func env() map[string]any {
	return map[string]any{
		"payment": payment{
			Amount: 2150, Owed: 2000, Channel: "wechat",
			PaidAt: time.Date(2026, 1, 5, 14, 56, 1, 7_000_000, shanghai),
			Bills:  []string{"B1", "B2"},
			Lines:  []line{{"测试药", "2", 1000}, {"又一测试药", "0.5", 1150}},
		},
		"n": 3,
	}
}

func options(answer any) []expr.Option {
	names := env()
	names["answer"] = new(any) // of unknown type
	names["answer"] = map[string]any{"it": answer}
	return append([]expr.Option{expr.Env(names)}, functions.Options(shanghai)...)
}

// run evaluates a cell; answer.it is what a HIS answered.
func run(t *testing.T, cell string, answer any) any {
	t.Helper()
	out, err := try(cell, answer)
	if err != nil {
		t.Fatalf("%s: %v", cell, err)
	}
	return out
}

func try(cell string, answer any) (any, error) {
	program, err := expr.Compile(cell, options(answer)...)
	if err != nil {
		return nil, err
	}
	names := env()
	names["answer"] = map[string]any{"it": answer}
	return expr.Run(program, names)
}

func TestMoneyIsAddedAndComparedWithMoneyOnly(t *testing.T) {
	for cell, want := range map[string]any{
		"yuan(payment.amount + payment.owed)":                     "41.50",
		"yuan(payment.owed - payment.amount)":                     "-1.50",
		"payment.amount < payment.owed":                           false,
		"payment.amount <= payment.amount":                        true,
		"payment.amount > payment.owed":                           true,
		"payment.amount >= payment.owed":                          true,
		"payment.amount == payment.amount":                        true,
		"payment.amount != payment.owed":                          true,
		"payment.amount == from_yuan(answer.it)":                  true,
		"payment.amount == nil":                                   false,
		"from_yuan(nil ?? answer.none) == nil":                    true,
		"total(map(payment.lines, .amount)) == payment.amount":    true,
		"payment.amount + neg(payment.amount) == from_fen(\"0\")": true,
		"payment.amount - payment.owed + payment.owed - payment.amount + payment.owed == payment.owed": true,
		"(if n == 3 {payment.amount + payment.owed} else {payment.owed}) > payment.amount":             true,
		"let due = payment.amount - payment.owed; yuan(due + due)":                                     "3.00",
		"any(payment.lines, .amount + .amount > payment.amount)":                                       true,
		"yuan(first(payment.lines).amount)":                                                            "10.00",
		"fen(if n == 3 {payment.amount} else {payment.owed})":                                          "2150",
	} {
		if got := run(t, cell, "21.5"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v, want %v", cell, got, want)
		}
	}
}

func TestWhatDoesNotCompile(t *testing.T) {
	for cell, want := range map[string]string{
		"payment.amount * 100":                    "money can only be added",
		"payment.amount > 5":                      "money can only be added",
		"payment.amount == 5":                     "money can only be added",
		`payment.amount == answer.it`:             "money can only be added",
		`answer.it == payment.amount`:             "money can only be added",
		`answer.it + payment.amount`:              "money can only be added",
		`payment.amount in answer.it`:             "money can only be added",
		"-payment.amount":                         "write neg(...)",
		"string(payment.amount)":                  "unknown name string",
		"text(payment.amount)":                    "text takes text, not money; write yuan(...) or fen(...)",
		"md5(payment.amount)":                     "md5 takes text or bytes, not money; write yuan(...) or fen(...)",
		"mul(payment.amount, 2)":                  "argument 1: takes decimal text, not money",
		"join(payment.amount, \",\")":             "argument 1: takes a list, not money",
		"yuan(answer.it + 1.5)":                   "quote it",
		`text("a" + text(n / 2))`:                 "quote it",
		"n ** 2":                                  "quote it",
		"1e3":                                     "quote it",
		`payment.paid_at == "2026-01-05"`:         "a time can only be compared with a time",
		`payment.paid_at < answer.it`:             "a time can only be compared with a time",
		`text(payment.paid_at)`:                   `write time(..., "yyyy-MM-dd HH:mm:ss")`,
		`yuan("12")`:                              "yuan takes money, not text; write from_yuan(...) or from_fen(...)",
		`upper()`:                                 "does not take 0 arguments: upper(text)",
		`upper(n)`:                                "upper takes text, not a whole number; write text(...)",
		`sm3(nil)`:                                "takes text or bytes, not nil",
		`time(payment.paid_at, "YYYY-MM-dd")`:     `time: layout`,
		`text(time(payment.paid_at, "hh:mm"))`:    `time: layout`,
		`from_time(answer.it, "yyyyMMdd", "mm")`:  `from_time: layout`,
		`sorted_query(answer.it, "drop")`:         "the options are",
		`cut(answer.it, 3, "LATIN")`:              "charset",
		`rsa_sign(answer.it, "k", "sha3")`:        "digest",
		"now()":                                   "unknown name now",
		`date("2026-01-05")`:                      "unknown name date",
		`duration("1h")`:                          "unknown name duration",
		"toJSON(answer.it)":                       "unknown name toJSON",
		"fromJSON(answer.it)":                     "unknown name fromJSON",
		"int(answer.it)":                          "unknown name int",
		"float(answer.it)":                        "unknown name float",
		"::float(answer.it)":                      "unknown name float",
		"groupBy(payment.lines, .name)":           "write group(list",
		"payment.lines | groupBy(.name)":          "write group(list",
		"::sum(payment.lines, .qty)":              "sum(list) takes a list of decimal text",
		"sortBy(payment.lines, .name)":            "not a function of this language",
		"reduce(payment.lines, #acc + #.qty, 0)":  "not a function of this language",
		"text(len(sortBy(payment.lines, .name)))": "not a function of this language",
		`sum(list(get(answer.it, "fee")))`:        "unknown name get",
		"md5(upper(payment.chanel))":              "chanel",
		"map(amuont, upper(#))":                   "unknown name amuont",
		"upper(payment.amount + payment.owed)":    "upper takes text, not money",
		"max(1, 2)":                               "unknown name max",
		"payment.amuont":                          "amuont",
		"first(payment.lines).nmae":               "nmae",
		`text(list(payment.bills))`:               "text takes text, not a list",
		`from_aes_ecb("text", "k")`:               "argument 1: takes bytes, not text",
	} {
		_, err := expr.Compile(cell, options("1")...)
		if err == nil {
			t.Errorf("%s compiles", cell)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %q does not say %q", cell, err, want)
		}
	}
}

func TestEveryFunctionSaysHowItIsCalled(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range functions.For(shanghai) {
		if seen[f.Name] {
			t.Errorf("%s is there twice", f.Name)
		}
		seen[f.Name] = true
		if !strings.HasPrefix(f.Doc, f.Name+"(") || strings.Contains(f.Doc, "\n") {
			t.Errorf("%s: doc %q is not one line that begins with the call", f.Name, f.Doc)
		}
		if len(f.Types) == 0 {
			t.Errorf("%s has no types", f.Name)
		}
	}
}

// Whatever a function is called with, it answers with an error of its own name.
func TestNoFunctionPanicsOrShowsAValue(t *testing.T) {
	const value = "张三测试-999999199001010016"
	odd := []any{nil, value, "", 7, -1, true, core.Fen(5), time.Time{}, []byte(value), []any{value}, core.List{},
		core.Tree{{Name: "名", Value: value}}, core.Tree{}, core.Token(value), core.Channel(value), map[string]any{}, 1.5}
	for _, f := range functions.For(shanghai) {
		call := func(args ...any) {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s(%T) panics: %v", f.Name, args, p)
				}
			}()
			_, err := f.Call(args...)
			if err != nil && !strings.HasPrefix(err.Error(), f.Name+": ") {
				t.Errorf("error %q does not name %s", err, f.Name)
			}
			if err != nil && (strings.Contains(err.Error(), "9999") || strings.Contains(err.Error(), "张三")) {
				t.Errorf("%s shows a value in its error", f.Name)
			}
		}
		call()
		for _, a := range odd {
			call(a)
			for _, b := range odd {
				call(a, b)
				for _, c := range odd {
					call(a, b, c)
				}
			}
		}
	}
}

func TestOneItemIsAListOfOne(t *testing.T) {
	one := core.Tree{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}
	for _, c := range []struct {
		cell   string
		answer any
		want   any
	}{
		{"count(answer.it, true)", one, 1},
		{"len(map(answer.it, #))", one, 1},
		{"count(answer.it, true)", nil, 0},
		{"len(concat(answer.it, answer.it))", one, 2},
		{"count(answer.it, true)", core.List{"x", "y"}, 2},
		{"reverse(answer.it)", core.List{"x", "y"}, []any{"y", "x"}},
		{"len(answer.it)", "张三测试", 4},
		{"len(payment.lines)", nil, 2},
		{"first(answer.it)", one, one},
		{"last(answer.it)", core.List{"x", "y"}, "y"},
		{"first(answer.it)", nil, nil},
		{"list(answer.it)", nil, []any{}},
	} {
		if got := run(t, c.cell, c.answer); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s = %v, want %v", c.cell, got, c.want)
		}
	}
}
