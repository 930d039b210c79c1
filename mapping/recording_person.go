package mapping

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// parted are the ways in which people part and widen numbers and names, always as
// many and in the same order, "" where one does not fit.
func parted(value string) []string {
	rs := []rune(value)
	at := func(mark string, ends ...int) string {
		var parts []string
		begin := 0
		for _, end := range ends {
			if end >= len(rs) || end <= begin {
				return ""
			}
			parts = append(parts, string(rs[begin:end]))
			begin = end
		}
		return strings.Join(append(parts, string(rs[begin:])), mark)
	}
	out := []string{""}
	if utf8.RuneCountInString(value) > 5 {
		out[0] = width.Widen.String(value)
	}
	telephone, identity, name := len(rs) == 11 && isTelephone(value), len(rs) == 18 && digits(value[:min(17, len(value))]), len(rs) > 1 && len(rs) < 5 && unicode.Is(unicode.Han, rs[0])
	for _, mark := range []string{" ", "-", ".", "\u3000"} {
		for _, way := range []struct {
			fits bool
			ends []int
		}{{telephone, []int{3, 7}}, {identity, []int{6, 14}}, {identity, []int{6, 10, 14}}, {name, []int{1}}, {name, []int{2}}} {
			if !way.fits {
				out = append(out, "")
				continue
			}
			out = append(out, at(mark, way.ends...))
		}
	}
	return out
}

// folded is a text as it is compared: of one width, without what people put between
// the digits of a number and the parts of a name. Line ends stay.
func folded(text string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r) || r == '.' || r == '·') {
			return -1
		}
		return r
	}, norm.NFKC.String(text)))
}

// tellsFolded reports whether a folded value is long enough not to stand in other
// words by chance.
func tellsFolded(folded string) bool {
	n := utf8.RuneCountInString(folded)
	return n > 5 || n > 1 && strings.IndexFunc(folded, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0
}

// wrapped are texts that may be others in base64 or hex.
var wrapped = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)

// unwrapped are the texts that stand in a text in base64 or hex.
func unwrapped(data []byte) (out [][]byte) {
	for _, run := range wrapped.FindAll(data, -1) {
		if b, err := hex.DecodeString(string(run)); err == nil {
			out = append(out, b)
		}
		for _, c := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if b, err := c.DecodeString(string(run)); err == nil {
				out = append(out, b)
			}
		}
	}
	return out
}

// person gives a real value that is still in a file, in whatever charset and
// spelling a HIS is likely to use; "" if none is.
func (r *recorder) person(data []byte) string {
	all := append([][]byte{data}, unwrapped(data)...)
	for _, c := range []Text{utf8Text{}, gbText{}, r.Charset} {
		var texts []string
		for _, b := range all {
			if text, err := c.Decode(b); err == nil {
				texts = append(texts, folded(text))
			}
		}
		for _, real := range r.made.order {
			if r.made.values[real] == real || utf8.RuneCountInString(real) < 2 {
				continue
			}
			if b, err := c.Encode(nil, real); err == nil && bytes.Contains(data, b) {
				return real
			}
			// Dates stand in other times, free text in other words, when their marks are gone.
			if kind := r.made.kinds[real]; kind != "name" && kind != "number" || !tellsFolded(folded(real)) {
				continue
			}
			for _, text := range texts {
				if strings.Contains(text, folded(real)) {
					return real
				}
			}
		}
	}
	return ""
}
