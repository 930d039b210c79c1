package mapping

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// madeUp replaces what names people by made-up values of the same shape: a name
// of two characters stays two, an identity number keeps its length and a valid
// check digit, a telephone its eleven digits. The same value is replaced by the
// same one everywhere in a case.
type madeUp struct {
	values  map[string]string // real to made up
	order   []string          // real values as they were found
	kinds   map[string]string
	fields  map[string]string // the field in which a real value was first seen
	masked  map[string]int    // how often a field was masked, by its name
	keep    map[string]bool
	birth   string // the made-up birth date, yyyymmdd, for identity numbers
	encoded func(string) ([]byte, bool)
}

func newMadeUp(encoded func(string) ([]byte, bool)) *madeUp {
	return &madeUp{values: map[string]string{}, kinds: map[string]string{}, fields: map[string]string{}, masked: map[string]int{}, keep: map[string]bool{}, encoded: encoded}
}

// add gives the made-up value of a personal one.
func (m *madeUp) add(field, kind, value string) string {
	if field != "" {
		m.masked[field]++
	}
	if made, ok := m.values[value]; ok {
		return made
	}
	n := 1
	for _, other := range m.order {
		if m.kinds[other] == kind {
			n++
		}
	}
	var made string
	switch kind {
	case "name":
		made = madeUpName(value, n)
	case "date":
		made = madeUpDate(value)
		m.birth = strings.ReplaceAll(made, "-", "")
	case "text":
		made = madeUpText(value)
	case "session":
		made = fmt.Sprintf("session-%d", n)
	default:
		made = m.number(value, n)
	}
	m.values[value], m.kinds[value], m.fields[value] = made, kind, field
	m.order = append(m.order, value)
	return made
}

// replacer replaces every spelling of what was added, longest first.
func (m *madeUp) replacer() *strings.Replacer {
	var pairs [][2]string
	for real, made := range m.values {
		if utf8.RuneCountInString(real) < 2 {
			continue // a lone character stands in too many other words
		}
		from, to := m.spellings(m.kinds[real], real), m.spellings(m.kinds[real], made)
		for i := range from {
			if i < len(to) && from[i] != "" {
				pairs = append(pairs, [2]string{from[i], cmp.Or(to[i], made)})
			}
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if d := len(b[0]) - len(a[0]); d != 0 {
			return d
		}
		return strings.Compare(a[0], b[0])
	})
	flat := make([]string, 0, 2*len(pairs))
	for _, p := range pairs {
		flat = append(flat, p[0], p[1])
	}
	return strings.NewReplacer(flat...)
}

// spellings are how texts of HIS spell a value, always in the same order: as it
// stands, escaped in XML, JSON and URLs, in base64; dates in their usual forms.
func (m *madeUp) spellings(kind, value string) []string {
	plain := []string{value}
	if kind == "date" {
		plain = dateSpellings(value)
	}
	var out []string
	for _, v := range plain {
		ascii := strings.ReplaceAll(strings.Trim(strconv.QuoteToASCII(v), `"`), `\U`, `\u`)
		out = append(out, v, html.EscapeString(v), ascii, strings.ReplaceAll(strings.ToUpper(ascii), `\U`, `\u`),
			url.QueryEscape(v), strings.ToLower(url.QueryEscape(v)), url.PathEscape(v), base64.StdEncoding.EncodeToString([]byte(v)))
		for _, form := range []string{"&#%d;", "&#x%X;", "&#x%x;"} {
			refs := references(v, form)
			out = append(out, refs, html.EscapeString(refs))
		}
		theirs := ""
		if b, ok := m.encoded(v); ok {
			theirs = string(b)
		}
		out = append(out, url.QueryEscape(theirs), strings.ToLower(url.QueryEscape(theirs)), base64.StdEncoding.EncodeToString([]byte(theirs)))
		out = append(out, parted(v)...)
		for _, b := range []string{v, theirs} {
			if len(b) < 4 {
				b = "" // its digits stand in too many other numbers
			}
			out = append(out, hex.EncodeToString([]byte(b)), strings.ToUpper(hex.EncodeToString([]byte(b))))
		}
	}
	return out
}

// references spells a text in XML's numbers of characters.
func references(text, form string) string {
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, form, r)
	}
	return b.String()
}

func dateSpellings(value string) []string {
	year, rest, _ := strings.Cut(value, "-")
	month, day, _ := strings.Cut(rest, "-")
	if !isDate(value) {
		return []string{value}
	}
	short := func(s string) string { return strings.TrimPrefix(s, "0") }
	return []string{
		value, year + month + day, year + "/" + month + "/" + day, year + "." + month + "." + day, year + "年" + month + "月" + day + "日",
		year + "-" + short(month) + "-" + short(day), year + "/" + short(month) + "/" + short(day), year + "年" + short(month) + "月" + short(day) + "日",
	}
}

var (
	namePrefix = []rune("测试患者测试患者")
	nameEnds   = []rune("甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥")
)

// madeUpName keeps the number of characters, and what separates the parts of a
// name. A character beyond the common ones stays one, because a HIS may stumble.
func madeUpName(value string, n int) string {
	runes := []rune(value)
	last := len(runes) - 1
	out := make([]rune, len(runes))
	for i, r := range runes {
		switch {
		case r > 0xFFFF:
			out[i] = '𠮷'
		case r < utf8.RuneSelf && unicode.IsLetter(r):
			out[i] = sameCase(r, rune('a'+(i+n)%26))
		case !unicode.IsLetter(r):
			out[i] = r
		case i == last:
			out[i] = nameEnds[(n-1)%len(nameEnds)]
		default:
			out[i] = namePrefix[i%len(namePrefix)]
		}
	}
	if made := string(out); made != value || n > len(nameEnds) {
		return made
	}
	return madeUpName(value, n+1)
}

func sameCase(r, as rune) rune {
	if unicode.IsUpper(r) {
		return unicode.ToUpper(as)
	}
	return as
}

// madeUpDate keeps the year, from which ages are reckoned.
func madeUpDate(value string) string {
	year, rest, _ := strings.Cut(value, "-")
	if !isDate(value) {
		return madeUpText(value)
	}
	if rest == "01-01" {
		return year + "-01-02"
	}
	return year + "-01-01"
}

// isDate reports whether s has the shape yyyy-MM-dd.
func isDate(s string) bool {
	return len(s) == 10 && s[4] == '-' && s[7] == '-' && digits(s[:4]+s[5:7]+s[8:])
}

var madeUpWords = []rune("测试内容")

// madeUpText keeps the length and the punctuation of free text.
func madeUpText(value string) string {
	out := []rune(value)
	for i, r := range out {
		switch {
		case unicode.IsDigit(r):
			out[i] = '0'
		case r < utf8.RuneSelf && unicode.IsLetter(r):
			out[i] = sameCase(r, 'x')
		case unicode.IsLetter(r):
			out[i] = madeUpWords[i%len(madeUpWords)]
		}
	}
	return string(out)
}

// number keeps the shape of a document's or telephone's number. 999999 is no
// region of identity numbers, and its last place but one still says the sex.
func (m *madeUp) number(value string, n int) string {
	switch {
	case isIdentity(value):
		birth := m.birth
		if len(birth) != 8 || birth[:4] != value[6:10] {
			birth = strings.ReplaceAll(madeUpDate(value[6:10]+"-"+value[10:12]+"-"+value[12:14]), "-", "")
		}
		body := "999999" + birth + fmt.Sprintf("%03d", (n*2+int(value[16]-'0')%2)%1000)
		made := body + string(checkDigit(body))
		if value[17] == 'x' {
			made = strings.ToLower(made)
		}
		if made == value {
			return m.number(value, n+1)
		}
		return made
	case isTelephone(value):
		if made := fmt.Sprintf("1990000%04d", n%10000); made != value {
			return made
		}
		return m.number(value, n+1)
	}
	// Anything else: letters stay letters, digits digits, and the end tells them apart.
	out := []byte(madeUpText(value))
	for i, left := len(out)-1, n; i >= 0 && left > 0; i-- {
		if out[i] >= '0' && out[i] <= '9' {
			out[i] = byte('0' + left%10)
			left /= 10
		}
	}
	if string(out) == value && n < 10 {
		return m.number(value, n+1)
	}
	return string(out)
}

// isIdentity reports whether s is a resident identity number of 18 places with
// its check digit (GB 11643).
func isIdentity(s string) bool {
	if len(s) != 18 || !digits(s[:17]) || rune(s[17]|0x20) != checkDigit(s[:17])|0x20 {
		return false
	}
	month, day := s[10:12], s[12:14]
	return month >= "01" && month <= "12" && day >= "01" && day <= "31" && s[6] >= '1' && s[6] <= '2'
}

func isTelephone(s string) bool {
	return len(s) == 11 && digits(s) && s[0] == '1' && s[1] >= '3'
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func checkDigit(body string) rune {
	sum := 0
	for i, weight := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(body[i]-'0') * weight
	}
	return rune("10X98765432"[sum%11])
}

// shapes adds what looks like an identity or telephone number in a text, unless
// the message knows it as a number of business.
func (m *madeUp) shapes(text string) {
	for i := 0; i < len(text); {
		if text[i] < '0' || text[i] > '9' {
			i++
			continue
		}
		end := i
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		if end-i == 17 && end < len(text) && text[end]|0x20 == 'x' {
			end++
		}
		run := text[i:end]
		if _, known := m.values[run]; !known && !m.keep[run] && (isIdentity(run) || isTelephone(run)) && !m.isMadeUp(run) {
			m.add("numbers in the answer", "number", run)
		}
		i = end
	}
}

func (m *madeUp) isMadeUp(s string) bool {
	for _, made := range m.values {
		if made == s {
			return true
		}
	}
	return false
}
