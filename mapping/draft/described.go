package draft

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// doc is a node of a JSON or YAML file, with its line.
type doc struct {
	line    int
	text    string
	leaf    bool
	bare    bool
	names   []string // of members
	members map[string]*doc
	items   []*doc
}

func (d *doc) get(names ...string) *doc {
	for _, n := range names {
		if d == nil {
			return nil
		}
		d = d.members[n]
	}
	return d
}

func (d *doc) say(name string) string {
	if c := d.get(name); c != nil {
		return c.text
	}
	return ""
}

const (
	maxDescription = 8 << 20
	maxDescribed   = 80 // levels
)

// readDescription reads a JSON or YAML file. Errors begin with the line.
func readDescription(data []byte) (*doc, error) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	trimmed := strings.TrimSpace(text)
	switch {
	case len(data) > maxDescription:
		return nil, fmt.Errorf("1: the file is larger than %d MiB", maxDescription>>20)
	case trimmed == "":
		return nil, errors.New("1: the file is empty")
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return nil, errors.New("1: the file is no text in UTF-8")
	case trimmed[0] == '<':
		return nil, errors.New("1: the file is XML or a page for browsers; save the JSON or YAML that the page is made of")
	case trimmed[0] == '{':
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		out, err := jsonDoc(d, text, 0)
		if err != nil {
			at := int(d.InputOffset())
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				at = int(syntax.Offset)
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("%d: not JSON: %w", 1+strings.Count(text[:min(max(at, 0), len(text))], "\n"), err)
		}
		return out, nil
	}
	return yamlDoc(text)
}

func jsonDoc(d *json.Decoder, text string, depth int) (*doc, error) {
	if depth > maxDescribed {
		return nil, errors.New("nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	out := &doc{line: 0, members: map[string]*doc{}}
	switch t := t.(type) {
	case json.Delim:
		for d.More() {
			key := ""
			at := d.InputOffset()
			if t == '{' {
				k, err := d.Token()
				if err != nil {
					return nil, err
				}
				key, _ = k.(string)
			}
			child, err := jsonDoc(d, text, depth+1)
			if err != nil {
				return nil, err
			}
			if t == '[' {
				out.items = append(out.items, child)
				continue
			}
			if strings.HasPrefix(key, "/") {
				child.line = 1 + strings.Count(text[:min(int(at)+1, len(text))], "\n") // of paths only: counting is slow
			}
			if _, twice := out.members[key]; !twice {
				out.names = append(out.names, key)
			}
			out.members[key] = child
		}
		_, err = d.Token()
		return out, err
	case string:
		out.text = t
	case json.Number:
		out.text, out.bare = t.String(), true
	case bool:
		out.text, out.bare = fmt.Sprint(t), true
	}
	out.leaf = true
	return out, nil
}

func yamlDoc(text string) (root *doc, err error) {
	defer func() {
		// The parser is known to trip over some broken texts.
		if recover() != nil {
			root, err = nil, errors.New("1: the file cannot be read as YAML")
		}
	}()
	depth := 0
	for i, line := range strings.Split(text, "\n") {
		depth += strings.Count(line, "{") + strings.Count(line, "[") - strings.Count(line, "}") - strings.Count(line, "]")
		if max(depth, strings.Count(line, "{"), strings.Count(line, "[")) > maxDescribed || len(line)-len(strings.TrimLeft(line, " ")) > 4*maxDescribed || strings.Count(line, "- ") > maxDescribed || strings.Count(line, "? ") > maxDescribed || strings.Count(line, ": ") > 4*maxDescribed {
			return nil, fmt.Errorf("%d: nested too deeply", i+1)
		}
		depth = max(0, depth)
	}
	file, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.GetToken() != nil && syntax.GetToken().Position != nil {
			return nil, fmt.Errorf("%d: not YAML: %s", syntax.GetToken().Position.Line, syntax.GetMessage())
		}
		return nil, errors.New("1: not YAML")
	}
	for _, d := range file.Docs {
		if d.Body != nil {
			return yamlNode(d.Body, 0)
		}
	}
	return nil, errors.New("1: the file is empty")
}

func yamlNode(n ast.Node, depth int) (*doc, error) {
	out := &doc{line: 1, members: map[string]*doc{}}
	if n == nil {
		return out, nil
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		out.line = t.Position.Line
	}
	if depth > maxDescribed {
		return nil, fmt.Errorf("%d: nested too deeply", out.line)
	}
	pair := func(v *ast.MappingValueNode) error {
		key := ""
		if s, ok := v.Key.(*ast.StringNode); ok {
			key = s.Value
		} else if t := v.Key.GetToken(); t != nil {
			key = t.Value
		}
		child, err := yamlNode(v.Value, depth+1)
		if err != nil {
			return err
		}
		if t := v.Key.GetToken(); t != nil && t.Position != nil {
			child.line = t.Position.Line
		}
		if _, twice := out.members[key]; !twice {
			out.names = append(out.names, key)
		}
		out.members[key] = child
		return nil
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if err := pair(v); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		return out, pair(n)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			child, err := yamlNode(v, depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, child)
		}
	case *ast.AnchorNode, *ast.AliasNode:
		return nil, fmt.Errorf("%d: anchors and aliases of YAML are not read; write it out", out.line)
	case *ast.StringNode:
		out.text, out.leaf = n.Value, true
	case *ast.LiteralNode:
		out.leaf = true
		if n.Value != nil {
			out.text = n.Value.Value
		}
	default:
		out.leaf, out.bare = true, true
		if t := n.GetToken(); t != nil {
			out.text = t.Value
		}
	}
	return out, nil
}
