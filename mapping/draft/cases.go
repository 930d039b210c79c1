package draft

import (
	"encoding/json"
	"fmt"
	"math/big"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"hishub/core"
)

// cases drafts a case for each request and answer that was recorded. The request
// is kept beside it as sample.*: what the hub writes differs in what means nothing
// (prefixes, blanks), so somebody compares once and keeps what "check" shows.
func (p *plan) cases(o *Offer, t core.Transaction, s *speaker) int {
	if o.Sample == nil || len(o.Replies) == 0 || o.Login {
		return 0
	}
	usual := messageFor(t.Kind, s)
	n := 0
	for _, r := range o.Replies {
		name := string(t.Kind)
		if variant := caseName(r.variant); variant != "" {
			name += "." + variant
		}
		dir := "cases/" + name + "/"
		for i := 2; p.files[dir+"message.json"] != nil; i++ {
			dir = fmt.Sprintf("cases/%s.%d/", name, i)
		}
		outcome := "ok"
		switch {
		case already.MatchString(r.variant) && r.variant != "":
			outcome = "already"
		case badNames.MatchString(r.variant):
			outcome = "rejected"
		case empty.MatchString(r.variant) && answerHasList(t.Kind):
			outcome = "no_data"
		case empty.MatchString(r.variant):
		}
		message, asked := usual, o.Sample
		if own := o.Asked[r.variant]; own != nil {
			message, asked = p.messageOf(o, t.Kind, own), own
		}
		p.files[dir+"message.json"] = message
		p.files[dir+"answer"+path.Ext(r.file)] = r.data
		p.files[dir+"sample"+path.Ext(asked.file)] = asked.data
		p.files[dir+"expect.yaml"] = []byte("outcome: " + outcome + " # guess by the name " + remark(r.file) + "\n")
		n++
	}
	return n
}

// messageOf makes the message of a case whose request was recorded, too.
func (p *plan) messageOf(o *Offer, kind core.Kind, asked *seen) []byte {
	aside := *p // what it needs is in the folder already
	aside.codes, aside.files = map[string]*codes{}, map[string][]byte{}
	s := aside.speak(kind)
	layers, body := peel(asked)
	if last := layers[len(layers)-1]; o.own != nil {
		body = o.own(body, last.root, last.attributes)
	}
	s.document(body)
	return messageFor(kind, s)
}

func caseName(variant string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, variant), "-") + ""
}

// messageFor makes the message of a case: what the sample says, and something
// made up where it says nothing.
func messageFor(kind core.Kind, s *speaker) []byte {
	out, err := json.MarshalIndent(s.record(messageOf(kind), "", s.found), "", "  ")
	if err != nil {
		return []byte("{}\n")
	}
	return append(out, '\n')
}

// record fills the fields of a message, in any order: JSON sorts them.
func (s *speaker) record(canons []canon, path string, found map[string]value) map[string]any {
	out := map[string]any{}
	for _, c := range canons {
		v, has := found[path+c.name]
		switch c.is {
		case isMany:
			if rows := s.rows[path+c.name]; len(rows) > 0 {
				list := []any{}
				for _, row := range rows {
					list = append(list, s.record(c.fields, path+c.name+"[].", row))
				}
				out[c.name] = list
			} else if c.required {
				out[c.name] = []any{s.record(c.fields, path+c.name+"[].", nil)}
			}
		case isRecord:
			if c.required {
				out[c.name] = s.record(c.fields, path+c.name+".", found)
			}
		default:
			if has || c.required {
				out[c.name] = c.example(v, has)
			}
		}
	}
	priced(out, path, found)
	s.sums(out)
	if _, has := found[path+"paid"]; out["paid"] != nil && !has {
		out["paid"] = out["amount"] // what is paid back was paid
	}
	return out
}

// priced makes a line's amount that of its price, as every message must have it,
// where the sample has one of them only.
func priced(m map[string]any, path string, found map[string]value) {
	amount, isLine := m["amount"].(core.Fen)
	_, hasPrice := found[path+"unit_price"]
	_, hasAmount := found[path+"amount"]
	qty, ok := decimal(m["qty"])
	price, ok2 := decimal(m["unit_price"])
	switch {
	case !isLine || !ok || !ok2 || qty.Sign() <= 0 || hasPrice && hasAmount:
	case hasPrice:
		fen := new(big.Rat).Mul(new(big.Rat).Mul(qty, price), big.NewRat(100, 1))
		if n, err := strconv.ParseInt(fen.FloatString(0), 10, 64); err == nil {
			m["amount"] = core.Fen(n)
		}
	default:
		m["unit_price"] = new(big.Rat).Quo(big.NewRat(int64(amount), 100), qty).FloatString(4)
	}
}

var plainDecimal = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,6})?$`)

func decimal(v any) (*big.Rat, bool) {
	text, _ := v.(string)
	if !plainDecimal.MatchString(text) {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// sums makes the total that of the lines, as every message must have it.
func (s *speaker) sums(m map[string]any) {
	items, ok := m["items"].([]any)
	if _, has := m["amount"]; !ok || !has {
		return
	}
	var total core.Fen
	for _, item := range items {
		if line, ok := item.(map[string]any); ok {
			if fen, ok := line["amount"].(core.Fen); ok {
				total += fen
			}
		}
	}
	m["amount"] = total
}

// example is a value of the right type: the sample's, as far as it can be read.
func (c canon) example(v value, has bool) any {
	switch c.is {
	case isMoney:
		if has && v.fen {
			if fen, err := strconv.ParseInt(v.text, 10, 64); err == nil {
				return core.Fen(fen)
			}
		} else if has {
			if fen, err := core.ParseYuan(v.text); err == nil {
				return fen
			}
		}
		return core.Fen(100)
	case isTime, isDay:
		for _, l := range layouts {
			if !has || !l.form.MatchString(v.text) {
				continue
			}
			if t, err := time.ParseInLocation(goLayout(l.layout), v.text, time.FixedZone("", 8*3600)); err == nil {
				if c.is == isDay {
					return t.Format("2006-01-02")
				}
				return t.Format(time.RFC3339)
			}
		}
		if c.is == isDay {
			return "2026-01-05"
		}
		if c.name == "valid_until" {
			return "2026-01-08T10:00:00+08:00"
		}
		return "2026-01-05T10:00:00+08:00"
	case isCode:
		if ours := oursOf(c.values, v.text); ours != "" {
			return ours
		}
		return c.values[0]
	case isTruth:
		return v.text == "1" || v.text == "true"
	case isNumber:
		if n, err := strconv.Atoi(v.text); err == nil {
			return n
		}
		return 1
	case isTexts:
		if has && v.text != "" {
			sep, _ := separatorOf(v.text)
			return strings.Split(v.text, sep)
		}
		return []string{"B1"}
	}
	if has {
		return v.text // empty, too: the sample has it so
	}
	switch c.name {
	case "patient_name":
		return "测试患者"
	case "qty", "dose", "unit_price":
		return "1"
	}
	return strings.ToUpper(strings.ReplaceAll(c.name, "_", "")) + "1"
}

func goLayout(layout string) string {
	return strings.NewReplacer("yyyy", "2006", "MM", "01", "dd", "02", "HH", "15", "mm", "04", "SSS", "000", "ss", "05", "XXX", "-07:00").Replace(layout)
}
