package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
)

// mask hides what names a patient in texts that people look at. It knows the
// shapes of identity card and telephone numbers, and the name and numbers of the
// one patient that a message is about.
type mask struct{ known *strings.Replacer }

// maskFor knows the patient of a message; nil knows the shapes only.
func maskFor(body core.Body) mask {
	var pairs []string
	add := func(value, hidden string) {
		if utf8.RuneCountInString(value) < 2 {
			return
		}
		// As text, as JSON and as a URL spell it.
		ascii := strings.Trim(strconv.QuoteToASCII(value), `"`)
		for _, spelled := range []string{value, ascii, strings.ToUpper(ascii), url.QueryEscape(value), strings.ToLower(url.QueryEscape(value))} {
			pairs = append(pairs, strings.ReplaceAll(spelled, `\U`, `\u`), hidden)
		}
	}
	if body != nil {
		core.Personal(body, func(_, kind string, field reflect.Value) {
			switch value := field.String(); kind {
			case "date":
				year, rest, _ := strings.Cut(value, "-")
				month, day, _ := strings.Cut(rest, "-")
				for _, between := range []string{"-", "", "/"} {
					add(year+between+month+between+day, core.MaskDate(year+between+month+between+day))
				}
			case "text": // may hold the others, which are found by themselves
			default:
				add(value, core.MaskPersonal(kind, value))
			}
		})
	}
	return mask{strings.NewReplacer(pairs...)}
}

// MaskText hides what names a patient in a text that belongs to a message; of nil
// it knows the shapes of numbers only.
func MaskText(s string, about core.Body) string { return maskFor(about).text(s) }

// text masks a text of any kind.
func (m mask) text(s string) string {
	if m.known != nil {
		s = m.known.Replace(s)
	}
	return maskNumbers(encoded.ReplaceAllStringFunc(s, func(run string) string {
		return fmt.Sprintf("[%d characters of base64]", len(run))
	}))
}

// encoded may hold anything, so it is not shown.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{64,}={0,2}`)

// maskNumbers hides runs of digits that have the length of an identity card
// number (15, or 18 with a last X) or of a mobile telephone.
func maskNumbers(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if !digit(s[i]) {
			b.WriteByte(s[i])
			i++
			continue
		}
		end := i
		for end < len(s) && digit(s[end]) {
			end++
		}
		if end < len(s) && end-i == 17 && (s[end] == 'X' || s[end] == 'x') {
			end++
		}
		switch run := s[i:end]; {
		case len(run) >= 15 && len(run) <= 18, len(run) == 11 && run[0] == '1' && run[1] >= '3':
			b.WriteString(core.MaskNumber(run))
		default:
			b.WriteString(run)
		}
		i = end
	}
	return b.String()
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// maskBody is the canonical JSON of a body with the fields that name a patient
// hidden.
func maskBody(body core.Body) (json.RawMessage, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	masked := reflect.New(reflect.TypeOf(body).Elem())
	if err := json.Unmarshal(text, masked.Interface()); err != nil {
		return nil, err
	}
	m := maskFor(body)
	core.Personal(masked.Interface(), func(_, kind string, field reflect.Value) {
		if kind == "text" {
			field.SetString(m.text(field.String()))
			return
		}
		field.SetString(core.MaskPersonal(kind, field.String()))
	})
	return json.Marshal(masked.Interface())
}

// decode reads bytes of an exchange for people: as UTF-8 or else as GB18030;
// charset is "" for what is neither.
func decode(b []byte) (text, charset string) {
	if utf8.Valid(b) {
		return string(b), "utf-8"
	}
	decoded, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err != nil || strings.ContainsRune(string(decoded), utf8.RuneError) {
		return "", ""
	}
	return string(decoded), "gb18030"
}
