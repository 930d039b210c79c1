package core

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// check gathers the problems of a body.
type check struct{ Problems }

func (c *check) problem(field, what string) {
	c.Problems = append(c.Problems, Problem{field, what})
}

// id checks an identifier: present, bounded, printable, no surrounding blanks.
func (c *check) id(field, s string) {
	if s == "" {
		c.problem(field, "missing")
		return
	}
	if strings.TrimSpace(s) != s {
		c.problem(field, "has blanks around it")
	}
	c.optional(field, s, maxID)
}

func (c *check) text(field, s string, most int) {
	if strings.TrimSpace(s) == "" {
		c.problem(field, "missing")
		return
	}
	c.optional(field, s, most)
}

func (c *check) optional(field, s string, most int) {
	if len(s) > most {
		c.problem(field, fmt.Sprintf("longer than %d bytes", most))
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		c.problem(field, "holds characters that no HIS can take")
	}
}

// unprintable: control characters (a note may have line breaks and tabs), and
// U+FFFD, which stands for bytes that somebody failed to decode.
func unprintable(r rune) bool {
	return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f || r == utf8.RuneError
}

func (c *check) enum(field, s string, e Enumeration) {
	if s == "" {
		c.problem(field, "missing")
	} else if !slices.Contains(e.Values(), s) {
		c.problem(field, "not one of "+strings.Join(e.Values(), ", "))
	}
}

func (c *check) date(field, s string) {
	if s == "" {
		c.problem(field, "missing")
	} else if _, err := time.Parse(time.DateOnly, s); err != nil {
		c.problem(field, "not a date like 1990-01-01")
	}
}

func (c *check) time(field string, t time.Time) {
	if t.IsZero() {
		c.problem(field, "missing")
	} else if y := t.Year(); y < 1900 || y > 2200 {
		c.problem(field, "not a plausible time")
	}
}

func (c *check) count(field string, n, least, most int) {
	if n < least || n > most {
		c.problem(field, fmt.Sprintf("has %d entries, allowed are %d to %d", n, least, most))
	}
}

// maxFen bounds one amount to ten million yuan, so that no sum can overflow.
const maxFen = Fen(1_000_000_000)

func (c *check) positive(field string, f Fen) {
	if f <= 0 {
		c.problem(field, "must be more than 0 fen")
	} else if f > maxFen {
		c.problem(field, "more than ten million yuan")
	}
}

// decimal checks positive decimal text with at most so many decimals.
func (c *check) decimal(field, s string, decimals int) bool {
	_, fraction, _ := strings.Cut(s, ".")
	switch {
	case s == "":
		c.problem(field, "missing")
	case !IsDecimal(s) || strings.HasPrefix(s, "-"):
		c.problem(field, "not a positive decimal number in plain digits")
	case len(strings.TrimRight(fraction, "0")) > decimals:
		c.problem(field, fmt.Sprintf("more than %d decimals", decimals))
	default:
		return true
	}
	return false
}

func (c *check) notNegative(field string, f Fen) {
	if f < 0 {
		c.problem(field, "must not be less than 0 fen")
	} else if f > maxFen {
		c.problem(field, "more than ten million yuan")
	}
}

// clock checks an optional time of day.
func (c *check) clock(field, s string) {
	if _, err := time.Parse("15:04", s); s != "" && (err != nil || len(s) != 5) {
		c.problem(field, "not a time of day like 09:00")
	}
}

func (c *check) diagnoses(ds []Diagnosis) {
	c.count("diagnoses", len(ds), 1, 20)
	for i, d := range ds {
		at := fmt.Sprintf("diagnoses[%d].", i)
		c.id(at+"code", d.Code)
		c.text(at+"name", d.Name, maxName)
	}
}

// line checks that an amount is qty x unit price, rounded.
func (c *check) line(at, qty, unitPrice string, amount Fen) {
	okQty := c.decimal(at+"qty", qty, 4)
	okPrice := c.decimal(at+"unit_price", unitPrice, 4)
	if !okQty || !okPrice {
		return
	}
	switch product, err := LineAmount(qty, unitPrice); {
	case err != nil:
		c.problem(at+"amount", err.Error())
	case product > maxFen:
		c.problem(at+"amount", "more than ten million yuan")
	case product != amount:
		c.problem(at+"amount", fmt.Sprintf("qty x unit_price is %d fen, the line says %d fen", product, amount))
	}
}

func (c *check) sum(field string, lines, total Fen) {
	if lines != total {
		c.problem(field, fmt.Sprintf("the lines add up to %d fen, the total says %d fen", lines, total))
	}
}
