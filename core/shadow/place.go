package shadow

import (
	"fmt"
	"regexp"
	"strings"
)

// differing fills in where two texts differ first, by the masked ones; the place is
// named as the unmasked ones say.
func differing(d Difference, what What, old, new, maskedOld, maskedNew string) Difference {
	d.What, d.Before, d.After = what, maskedOld, maskedNew
	d.Place = placeOf(old, first(old, new))
	if maskedOld == maskedNew {
		d.Old = fmt.Sprintf("(in what is masked, %d characters)", len([]rune(old)))
		d.New = fmt.Sprintf("(in what is masked, %d characters)", len([]rune(new)))
		return d
	}
	at := first(maskedOld, maskedNew)
	d.Old, d.New = around(maskedOld, at), around(maskedNew, at)
	return d
}

// first is the place of the first character that differs, in bytes.
func first(a, b string) int {
	last := 0
	for i := range a {
		if i >= len(b) || a[last:i] != b[last:i] {
			return last
		}
		last = i
	}
	if last < len(a) && last < len(b) && strings.HasPrefix(b[last:], a[last:]) {
		return len(a)
	}
	return last
}

// around is what stands at a place, with a little before and after it, in one line.
func around(text string, at int) string {
	before, after := []rune(text[:at]), []rune(text[at:])
	out := ""
	if cut := len(before) - 40; cut > 0 {
		before, out = before[cut:], "…"
	}
	more := ""
	if len(after) > 60 {
		after, more = after[:60], "…"
	}
	return out + strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(string(before)+string(after)) + more
}

// named finds what the value at the end of a text is called: the XML element or
// attribute that is open, the JSON name, the parameter, or the header of a line.
var named = []*regexp.Regexp{
	regexp.MustCompile(`<([\pL_][\pL\pN_.:-]*)(?:\s[^<>]*)?>(?:<!\[CDATA\[)?[^<>]*$`),
	regexp.MustCompile(`\s([\pL_][\pL\pN_.:-]*)="[^"<>]*$`),
	regexp.MustCompile(`"([^"\\]+)"\s*:\s*"?[^"{}\[\],]*$`),
	regexp.MustCompile(`(?:^|[?&\n;])([\pL_][\pL\pN_.-]*)=[^&=\n;]*$`),
	regexp.MustCompile(`(?:^|\n)([A-Za-z][A-Za-z0-9-]*): [^\n]*$`),
	regexp.MustCompile(`"([^"\\]+)"\s*:[^"]*$`),
	regexp.MustCompile(`<([\pL_][\pL\pN_.:-]*)[^<>]*$`),
	regexp.MustCompile(`<(/?[\pL_][\pL\pN_.:-]*)[^<>]*>[^<>]*$`),
}

// opened makes texts in texts readable: XML in XML, JSON in JSON.
var opened = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, `\"`, `"`, `\u003c`, "<", `\u003e`, ">")

// placeOf names the place of a byte of a text: "PatName", or "line 3".
func placeOf(text string, at int) string {
	before := text[:at]
	line := 1 + strings.Count(before, "\n")
	if len(before) > 4096 {
		before = strings.ToValidUTF8(before[len(before)-4096:], "")
	}
	before = strings.TrimRight(opened.Replace(before), "</")
	for _, n := range named {
		if m := n.FindStringSubmatch(before); m != nil {
			if name, closed := strings.CutPrefix(m[1], "/"); closed {
				return "after " + name
			}
			return m[1]
		}
	}
	return fmt.Sprintf("line %d", line)
}
