package soaphis

import (
	"errors"
	"strconv"
	"strings"
)

// element of an XML document: its local name, its own text and its children.
// Attributes, comments and processing instructions are dropped.
type element struct {
	name string
	text string
	kids []element
}

func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	for i := range e.kids {
		if e.kids[i].name == name {
			return &e.kids[i]
		}
	}
	return nil
}

// value is the trimmed text of a child, "" when there is none.
func (e *element) value(name string) string {
	if c := e.child(name); c != nil {
		return strings.TrimSpace(c.text)
	}
	return ""
}

const maxDepth = 32

// parseXML reads one document. It is written by hand because the mock shares the
// machine with what it measures: no reflection, and texts are cut out of the input.
func parseXML(in string) (*element, error) {
	p := &parser{in: in}
	if err := p.skipMisc(); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(p.in[p.at:], "<") {
		return nil, errors.New("no root element")
	}
	var root element
	if err := p.element(&root, 0); err != nil {
		return nil, err
	}
	if err := p.skipMisc(); err != nil {
		return nil, err
	}
	if p.at < len(p.in) {
		return nil, errors.New("text after the root element")
	}
	return &root, nil
}

type parser struct {
	in string
	at int
}

// skipMisc passes blanks, the prolog, comments. A DOCTYPE is refused.
func (p *parser) skipMisc() error {
	for {
		rest := strings.TrimLeft(p.in[p.at:], " \t\r\n\ufeff")
		p.at = len(p.in) - len(rest)
		switch {
		case strings.HasPrefix(rest, "<?"):
			if err := p.past("?>"); err != nil {
				return err
			}
		case strings.HasPrefix(rest, "<!--"):
			if err := p.past("-->"); err != nil {
				return err
			}
		case strings.HasPrefix(rest, "<!"):
			return errors.New("a DOCTYPE is not taken")
		default:
			return nil
		}
	}
}

func (p *parser) past(mark string) error {
	i := strings.Index(p.in[p.at:], mark)
	if i < 0 {
		return errors.New("document ends before " + mark)
	}
	p.at += i + len(mark)
	return nil
}

// element reads from '<' to the end of the end tag.
func (p *parser) element(e *element, depth int) error {
	if depth > maxDepth {
		return errors.New("nested too deep")
	}
	end := strings.IndexByte(p.in[p.at:], '>')
	if end < 0 {
		return errors.New("a tag does not end")
	}
	tag := p.in[p.at+1 : p.at+end]
	p.at += end + 1
	empty := strings.HasSuffix(tag, "/")
	tag = strings.TrimSuffix(tag, "/")
	full := tag
	if i := strings.IndexAny(tag, " \t\r\n"); i >= 0 {
		full = tag[:i]
	}
	if full == "" || full[0] == '/' {
		return errors.New("a tag without a name")
	}
	e.name = full[strings.LastIndexByte(full, ':')+1:]
	if empty {
		return nil
	}
	for {
		open := strings.IndexByte(p.in[p.at:], '<')
		if open < 0 {
			return errors.New("element " + e.name + " does not end")
		}
		if open > 0 {
			text, err := unescape(p.in[p.at : p.at+open])
			if err != nil {
				return err
			}
			e.text = joined(e.text, text)
			p.at += open
		}
		rest := p.in[p.at:]
		switch {
		case strings.HasPrefix(rest, "</"):
			if err := p.past(">"); err != nil {
				return err
			}
			if strings.TrimSpace(rest[2:len(rest)-len(p.in)+p.at-1]) != full {
				return errors.New("element " + e.name + " is closed by another name")
			}
			return nil
		case strings.HasPrefix(rest, "<![CDATA["):
			from := p.at + len("<![CDATA[")
			if err := p.past("]]>"); err != nil {
				return err
			}
			e.text = joined(e.text, p.in[from:p.at-len("]]>")])
		case strings.HasPrefix(rest, "<!--"):
			if err := p.past("-->"); err != nil {
				return err
			}
		case strings.HasPrefix(rest, "<?"):
			if err := p.past("?>"); err != nil {
				return err
			}
		default:
			e.kids = append(e.kids, element{})
			if err := p.element(&e.kids[len(e.kids)-1], depth+1); err != nil {
				return err
			}
		}
	}
}

// joined avoids a copy for the one text that most elements have.
func joined(a, b string) string {
	if strings.TrimSpace(a) == "" {
		return b
	}
	if strings.TrimSpace(b) == "" {
		return a
	}
	return a + b
}

var entities = map[string]string{"lt": "<", "gt": ">", "amp": "&", "quot": `"`, "apos": "'"}

func unescape(s string) (string, error) {
	i := strings.IndexByte(s, '&')
	if i < 0 {
		return s, nil
	}
	var out strings.Builder
	out.Grow(len(s))
	for i >= 0 {
		out.WriteString(s[:i])
		s = s[i+1:]
		end := strings.IndexByte(s, ';')
		if end < 0 {
			return "", errors.New("an entity does not end")
		}
		name := s[:end]
		s = s[end+1:]
		if text, ok := entities[name]; ok {
			out.WriteString(text)
		} else if r, ok := character(name); ok {
			out.WriteRune(r)
		} else {
			return "", errors.New("an unknown entity")
		}
		i = strings.IndexByte(s, '&')
	}
	out.WriteString(s)
	return out.String(), nil
}

func character(name string) (rune, bool) {
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	return rune(n), err == nil && n > 0
}

// document is written front to back; put escapes.
type document struct{ strings.Builder }

var escaper = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;")

func (d *document) put(name, text string) {
	d.open(name)
	_, _ = escaper.WriteString(d, text)
	d.close(name)
}

func (d *document) open(name string)  { d.WriteByte('<'); d.WriteString(name); d.WriteByte('>') }
func (d *document) close(name string) { d.WriteString("</"); d.WriteString(name); d.WriteByte('>') }
