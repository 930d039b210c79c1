package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// node is a YAML node reduced to what the grammar knows: scalars, maps and
// lists with their places. Anchors, aliases, tags and merge keys are refused.
type node struct {
	pos
	kind  nodeKind
	text  string // of a scalar, unquoted and unfolded
	style style
	// flow is true inside {...} and [...], where YAML cuts cells at commas.
	flow bool
	// broken nodes were reported; what follows from them is not worth a line.
	broken bool
	cut    bool // what follows in the brackets belongs to a cell that was cut
	fields []field
	items  []*node
	source *source
}

type nodeKind int

const (
	scalarNode nodeKind = iota
	mapNode
	listNode
)

func (k nodeKind) String() string { return [...]string{"text", "a map", "a list"}[k] }

// style is how a scalar is written, which tells numbers from text.
type style int

const (
	plainText  style = iota
	plainWord        // a number or true or false without quotes
	empty            // nothing, null or ~
	singleText       // 'quoted'
	doubleText       // "quoted"
	blockText        // | or >
)

type field struct {
	key   *node
	value *node
}

// get is the value of a key, nil if it is not there.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.key.text == name {
			return f.value
		}
	}
	return nil
}

func (n *node) isEmpty() bool { return n.kind == scalarNode && n.style == empty }

// source is the text of a file, for places inside scalars.
type source struct {
	name  string
	lines []string
}

// maxFile bounds one YAML file, in bytes: real ones have some thousand.
const maxFile = 256 << 10

// mark is the byte order mark with which Notepad begins what it saves as UTF-8; it
// is no part of the text.
const mark = "\ufeff"

// parseYAML reads one file. A file that is not YAML at all gives one mistake
// and no node; an empty one gives neither.
func parseYAML(name, text string, found *findings) (root *node) {
	text = strings.TrimPrefix(text, mark)
	src := &source{name: name, lines: strings.Split(text, "\n")}
	at := pos{name, 1, 1}
	defer func() {
		// The parser is known to trip over some broken texts.
		if r := recover(); r != nil {
			found.mistake(at, "", "cannot be read as YAML")
			root = nil
		}
	}()
	if len(text) > maxFile {
		found.mistake(at, "divide it", "the file is larger than %d KiB", maxFile>>10)
		return nil
	}
	if !utf8.ValidString(text) {
		found.mistake(at, "save it as UTF-8", "the file is not UTF-8")
		return nil
	}
	if line := tooDeep(src.lines); line > 0 {
		found.mistake(pos{name, line, 1}, "divide it with let", "the document is nested too deeply")
		return nil
	}
	file, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		src.syntax(err, found)
		return nil
	}
	var body ast.Node
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			found.mistake(src.at(d.Body.GetToken()), "put it into a file of its own", "a second YAML document")
			break
		}
		body = d.Body
	}
	if body == nil {
		return nil
	}
	r := yamlReader{src: src, found: found}
	return r.node(body, false)
}

// tooDeep gives the line in which a text is nested deeper than any document is:
// the parser would take minutes over it.
func tooDeep(lines []string) int {
	const most = 100
	depth := 0
	for i, line := range lines {
		for j := 0; j < len(line); j++ {
			switch line[j] {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			}
			if depth > most {
				return i + 1
			}
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if indent > 4*most && strings.TrimSpace(line) != "" || strings.Count(line, "- ") > 4*most || strings.Count(line, "? ") > 4*most || strings.Count(line, ": ") > 4*most {
			return i + 1
		}
	}
	return 0
}

func (s *source) at(t *token.Token) pos {
	if t == nil || t.Position == nil {
		return pos{s.name, 1, 1}
	}
	return pos{s.name, max(1, t.Position.Line), max(1, t.Position.Column)}
}

func (s *source) syntax(err error, found *findings) {
	at, what := pos{s.name, 1, 1}, err.Error()
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		at, what = s.at(syntax.GetToken()), syntax.GetMessage()
	}
	if cell, ok := s.brokenCell(at); ok {
		found.mistake(cell.pos, cureFlow, "%q ends inside the brackets", cell.text)
		return
	}
	cure := ""
	if strings.Contains(what, "mapping value is not allowed") {
		cure = `quote a value that holds ": "; each level is indented by the same number of blanks`
	}
	found.mistake(at, cure, "not YAML: %s", what)
}

const cureFlow = "inside {...} and [...] quote a cell that has a comma, colon or bracket"

// brokenCell finds the cell without quotes inside brackets that made YAML give
// up at this place.
func (s *source) brokenCell(at pos) (cell struct {
	pos
	text string
}, ok bool) {
	if at.line > len(s.lines) {
		return cell, false
	}
	line := []rune(s.lines[at.line-1])
	depth := 0
	for i := 0; i < len(line) && i < at.column; i++ {
		switch line[i] {
		case '{', '[':
			depth++
		case '=':
			before := strings.TrimRight(string(line[:i]), " ")
			if depth > 0 && before != "" && strings.ContainsAny(before[len(before)-1:], ":,[{") {
				end := i
				for end < len(line) && !strings.ContainsRune(",{}[]", line[end]) {
					end++
				}
				cell.pos, cell.text, ok = pos{s.name, at.line, i + 1}, string(line[i:end]), true
			}
		}
	}
	return cell, ok
}

type yamlReader struct {
	src   *source
	found *findings
	depth int
}

func (r *yamlReader) node(n ast.Node, flow bool) *node {
	if r.depth++; r.depth > 100 {
		panic("too deep")
	}
	defer func() { r.depth-- }()
	out := &node{source: r.src, flow: flow, style: empty}
	if n == nil {
		out.pos = pos{r.src.name, 1, 1}
		return out
	}
	out.pos = r.src.at(n.GetToken())
	switch n := n.(type) {
	case *ast.MappingNode:
		out.kind, out.flow = mapNode, n.IsFlowStyle
		for _, v := range n.Values {
			r.pair(out, v)
		}
		if !n.IsFlowStyle && len(out.fields) > 0 {
			out.pos = out.fields[0].key.pos
		}
	case *ast.MappingValueNode:
		out.kind = mapNode
		r.pair(out, n)
	case *ast.SequenceNode:
		out.kind, out.flow = listNode, n.IsFlowStyle
		for _, v := range n.Values {
			item := r.node(v, n.IsFlowStyle)
			if r.halfCell(item) {
				out.broken = true
				break
			}
			out.items = append(out.items, item)
		}
	case *ast.NullNode:
	case *ast.StringNode:
		out.text = n.Value
		switch n.Token.Type {
		case token.SingleQuoteType:
			out.style = singleText
		case token.DoubleQuoteType:
			out.style = doubleText
		default:
			out.style = plainText
			if n.Value == todo {
				r.found.notFilled(out.pos, "write what belongs here, and quote the word if it is meant")
			}
		}
	case *ast.LiteralNode:
		out.style = blockText
		if n.Value != nil {
			out.text = strings.TrimRight(n.Value.Value, "\n")
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		out.text, out.style = n.GetToken().Value, plainWord
	case *ast.InfinityNode, *ast.NanNode:
		out.text, out.style = n.GetToken().Value, plainText
	case *ast.AnchorNode, *ast.AliasNode:
		out.broken = true
		r.found.mistake(out.pos, "write it out, or quote it if the * or & is meant", "anchors are not part of this grammar")
	case *ast.TagNode:
		out.broken = true
		r.found.mistake(out.pos, "leave it out; what is quoted is text", "tags are not part of this grammar")
	default:
		out.broken = true
		r.found.mistake(out.pos, "", "%s is not part of this grammar", n.Type())
	}
	return out
}

// halfCell reports a cell that YAML cut at a comma or bracket. What comes after
// it in the brackets is the rest of the cell.
func (r *yamlReader) halfCell(n *node) bool {
	if !n.flow || n.kind != scalarNode || n.style != plainText || !strings.HasPrefix(n.text, "=") || !unfinished(n.text) || n.comment() {
		return false
	}
	r.found.mistake(n.pos, cureFlow, "%q ends inside the brackets", n.text)
	return true
}

// halfStatement reports SQL or a call of a procedure that YAML cut at a comma: the key
// that follows it in the brackets is its rest.
func (r *yamlReader) halfStatement(out, key, value *node) bool {
	if !out.flow || key.style != plainText || len(out.fields) == 0 {
		return false
	}
	before := out.fields[len(out.fields)-1].value
	if before.kind != scalarNode || before.style != plainText || strings.HasPrefix(before.text, "=") {
		return false
	}
	first, _, more := strings.Cut(strings.ToLower(before.text), " ")
	statement := more && slices.Contains([]string{"select", "with", "update", "insert", "delete", "call", "exec"}, first)
	if !statement && strings.Count(before.text, "(") <= strings.Count(before.text, ")") {
		return false
	}
	if !value.isEmpty() && !strings.ContainsAny(key.text, " ()='") {
		return false
	}
	r.found.mistake(before.pos, cureFlow, "%q ends inside the brackets", before.text)
	return true
}

func (r *yamlReader) pair(out *node, v *ast.MappingValueNode) {
	if out.cut {
		return
	}
	key := &node{source: r.src, pos: r.src.at(v.Key.GetToken()), style: plainText, flow: out.flow}
	switch k := v.Key.(type) {
	case *ast.StringNode:
		key.text = k.Value
		if t := k.Token.Type; t == token.SingleQuoteType || t == token.DoubleQuoteType {
			key.style = doubleText
		}
	case *ast.MergeKeyNode:
		r.found.mistake(key.pos, "write it out", "merge keys are not part of this grammar")
		return
	case *ast.MappingKeyNode, *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		r.found.mistake(key.pos, "a key is plain text", "%s is not part of this grammar", v.Key.Type())
		return
	default:
		key.text = k.GetToken().Value
	}
	value := r.node(v.Value, out.flow)
	if value.isEmpty() {
		value.pos = key.pos
	}
	for _, f := range out.fields {
		if f.key.text == key.text {
			cure := "keep one of them"
			switch {
			case key.text == useWord:
				cure = "write one with a list: $use: [first, second]"
			case key.text == "$group":
				cure = "write one with a list, in which children stand, too: $group: [= first, {child: ...}, = second]"
			case !isGrammarKey(key.text):
				cure = "keep one of them; repeated elements are a list: " + key.text + ": [..., ...]"
			}
			r.found.mistake(key.pos, cure, "%q is here a second time, the first is in line %d", key.text, f.key.line)
			out.broken = true
			return
		}
	}
	if r.halfCell(value) || r.halfStatement(out, key, value) {
		out.broken, out.cut = true, true
		return
	}
	if value.flow && value.style == plainText && value.kind == scalarNode && strings.Contains(value.text, ": ") {
		r.found.mistake(value.pos, cureFlow, "%q was cut at its first colon", key.text+":"+value.text)
		out.broken = true
		return
	}
	out.fields = append(out.fields, field{key, value})
}

// place is where the i-th character of the scalar's text stands in the file.
func (n *node) place(i int) pos {
	at := n.pos
	lines := n.source.lines
	if n.line > len(lines) {
		return at
	}
	switch n.style {
	case plainText, plainWord:
		at.column += i
	case blockText:
		// The text starts in the next line; its indentation is that of the first
		// line that is not blank.
		indent := -1
		for l := n.line; l < len(lines); l++ {
			trimmed := strings.TrimLeft(lines[l], " ")
			if indent < 0 {
				if strings.TrimSpace(trimmed) == "" {
					continue
				}
				indent = len(lines[l]) - len(trimmed)
			}
			length := max(0, utf8.RuneCountInString(strings.TrimRight(lines[l], "\r"))-indent)
			if i <= length {
				return pos{at.file, l + 1, indent + 1 + i}
			}
			i -= length + 1
		}
	case singleText, doubleText:
		line := []rune(lines[n.line-1])
		c := n.column // the character after the opening quote, from 0
		for ; i > 0 && c < len(line); i-- {
			switch {
			case n.style == singleText && line[c] == '\'' && c+1 < len(line) && line[c+1] == '\'':
				c += 2
			case n.style == doubleText && line[c] == '\\' && c+1 < len(line):
				c += 1 + escapeLength(line[c+1])
			default:
				c++
			}
		}
		at.column = c + 1
	}
	return at
}

func escapeLength(r rune) int {
	switch r {
	case 'x':
		return 3
	case 'u':
		return 5
	case 'U':
		return 9
	}
	return 1
}

// comment reports whether a comment follows the plain scalar in its line: then
// YAML may have cut a cell that holds " #".
func (n *node) comment() bool {
	if n.style != plainText || n.line > len(n.source.lines) {
		return false
	}
	line := []rune(n.source.lines[n.line-1])
	end := n.column - 1 + utf8.RuneCountInString(n.text)
	return end < len(line) && strings.HasPrefix(strings.TrimLeft(string(line[end:]), " \t"), "#")
}

func (n *node) describe() string {
	if n.isEmpty() {
		return "nothing"
	}
	if n.kind == scalarNode && n.style == plainWord {
		return fmt.Sprintf("the word %s", n.text)
	}
	return n.kind.String()
}
