package formats

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

var xmlEntities = map[string]string{"lt": "<", "gt": ">", "amp": "&", "quot": `"`, "apos": "'"}

func (r *xmlReader) entity() *Error {
	const longest = len("&#x0010FFFF;")
	rest := r.text[r.i:min(len(r.text), r.i+longest)]
	end := strings.IndexByte(rest, ';')
	if end < 0 {
		return r.looseAnd("", "an & in text is written &amp;")
	}
	name := rest[1:end]
	if text, ok := xmlEntities[name]; ok {
		r.addText(text)
		r.i += end + 1
		return nil
	}
	number, ok := strings.CutPrefix(name, "#")
	if !ok {
		return r.looseAnd(name, "only the five entities of XML and numeric ones are known")
	}
	base := 10
	if hex, ok := strings.CutPrefix(number, "x"); ok {
		number, base = hex, 16
	}
	code, err := strconv.ParseUint(number, base, 32)
	if err != nil || code > utf8.MaxRune || !utf8.ValidRune(rune(code)) {
		return r.looseAnd("", "not the number of a character")
	}
	char := string(rune(code))
	if xmlForbiddenIn(char) >= 0 {
		return r.fail(r.i, xmlForbiddenReason)
	}
	r.addText(char)
	r.i += end + 1
	return nil
}

// looseAnd is the lenient view of an & that begins no entity of XML: one of
// HTML's by that name, or text.
func (r *xmlReader) looseAnd(name, reason string) *Error {
	if !r.format.lenient {
		return r.fail(r.i, reason)
	}
	entity := "&" + name + ";"
	letters := strings.IndexFunc(name, func(c rune) bool { return c > 'z' || !xmlNameByte[c] || c < '0' }) < 0
	if text := html.UnescapeString(entity); letters && text != entity && !strings.HasSuffix(text, ";") {
		r.at(r.i, "an entity that is not declared")
		r.addText(text)
		r.i += len(entity)
		return nil
	}
	r.at(r.i, "an & that is text")
	r.addText("&")
	r.i++
	return nil
}
