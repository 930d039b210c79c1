package soap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf16"

	"hishub/connectors/charset"
)

// Bounds of what a WSDL may draw in.
const (
	maxFiles    = 500
	maxDocument = 8 << 20 // bytes of one file
	maxSource   = 32 << 20
	maxNodes    = 1_000_000 // elements of all files
)

// node is an element of a WSDL or a schema as it was written.
type node struct {
	name  xml.Name
	attrs map[string]string
	// others are the attributes that have a namespace.
	others       map[qname]string
	prefixes     map[string]string
	children     []*node
	file         string
	line, column int
}

// place is where the element stands, for people.
func (n *node) place() string { return fmt.Sprintf("%s:%d:%d", n.file, n.line, n.column) }

// sources are the files of a hospital folder that a WSDL draws in. Nothing is
// ever taken from the network.
type sources struct {
	folder fs.FS
	roots  map[string]*node
	bytes  int
	nodes  int
	// names is where the files of each last path element stand, once asked.
	names map[string][]string
}

// root reads a file once.
func (s *sources) root(file string) (*node, error) {
	if root, ok := s.roots[file]; ok {
		return root, nil
	}
	if len(s.roots) == maxFiles {
		return nil, fmt.Errorf("more than %d files are imported", maxFiles)
	}
	document, err := readBounded(s.folder, file)
	if err != nil {
		return nil, err
	}
	if s.bytes += len(document); s.bytes > maxSource {
		return nil, fmt.Errorf("the WSDL and what it imports are larger than %d MiB", maxSource>>20)
	}
	root, err := s.parse(file, document)
	if err != nil {
		return nil, err
	}
	s.roots[file] = root
	return root, nil
}

func readBounded(folder fs.FS, file string) ([]byte, error) {
	f, err := folder.Open(file)
	if err != nil {
		return nil, fmt.Errorf("no readable file %q in the hospital folder", file)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("no readable file %q in the hospital folder", file)
	}
	document, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("no readable file %q in the hospital folder", file)
	}
	if len(document) > maxDocument {
		return nil, fmt.Errorf("%s is larger than %d MiB", file, maxDocument>>20)
	}
	return document, nil
}

// known are namespaces whose schemas everybody has; ours are built in.
var known = map[string]bool{
	schemaNamespace: true, encoding11: true, encoding12: true, wsdlNamespace: true,
	"http://www.w3.org/XML/1998/namespace": true, soap11.binding: true, soap12.binding: true,
	xmlMime: true, "http://schemas.microsoft.com/2003/10/Serialization/": true,
	"http://ws-i.org/profiles/basic/1.1/xsd": true, "http://xml.apache.org/xml-soap": true,
}

// locate finds the file that an import means: beside the file that imports it,
// or, where that is not there or the location is one of the web, a file of the
// location's last name anywhere in the folder. "" is one that is not needed.
func (s *sources) locate(n *node, location string) (string, error) {
	names, end := []string{}, ".xsd"
	if n.name.Space == wsdlNamespace {
		end = ".wsdl"
	}
	if u, err := url.Parse(location); err == nil && u.Scheme == "" && u.Host == "" {
		if file := path.Join(path.Dir(n.file), u.Path); fs.ValidPath(file) && s.has(file) {
			return file, nil
		}
	} else if err == nil && u.RawQuery != "" {
		// Stacks publish schemas as Service?xsd=1; saved, they have such names.
		_, value, _ := strings.Cut(u.RawQuery, "=")
		base := path.Base(u.Path)
		names = append(names, base+"?"+u.RawQuery)
		if value = path.Base(value); value != "." && value != "/" {
			names = append(names, value, value+end, base+"."+value+end, base+"_"+value+end)
		}
		names = append(names, base+end)
	}
	base, _, _ := strings.Cut(location, "?")
	if last := path.Base(strings.ReplaceAll(base, `\`, "/")); last != "." && last != "/" && last != ".." {
		names = append(names, last)
	}
	for _, name := range names {
		found := s.named(name)
		if len(found) > 1 {
			return "", fmt.Errorf("%s: %q could be %s; keep one of them", n.place(), location, strings.Join(found, " or "))
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	if known[n.attrs["namespace"]] {
		return "", nil
	}
	if len(names) == 0 {
		return "", fmt.Errorf("%s: %q names no file", n.place(), location)
	}
	want := names[len(names)-1]
	if i := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, end) }); i >= 0 {
		want = names[i]
	}
	if strings.Contains(location, "://") {
		return "", fmt.Errorf("%s imports from the network (%s), which is never read; save that file in the hospital folder as %q", n.place(), bounded(location), want)
	}
	return "", fmt.Errorf("%s: no readable file %q in the hospital folder; put it beside %s", n.place(), bounded(location), n.file)
}

// bounded keeps what a file says at a readable length.
func bounded(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}

func (s *sources) has(file string) bool {
	info, err := fs.Stat(s.folder, file)
	return err == nil && info.Mode().IsRegular()
}

// named gives the files of that name in the folder.
func (s *sources) named(name string) []string {
	if s.names == nil {
		s.names = map[string][]string{}
		left := 10_000
		_ = fs.WalkDir(s.folder, ".", func(file string, d fs.DirEntry, err error) error {
			if left--; left < 0 {
				return fs.SkipAll
			}
			if err != nil {
				return nil //nolint:nilerr // what cannot be read is not there
			}
			if !d.IsDir() && !strings.HasPrefix(path.Base(file), ".") {
				at := strings.ToLower(path.Base(file))
				s.names[at] = append(s.names[at], file)
			}
			return nil
		})
	}
	found := s.names[strings.ToLower(name)]
	if exact := slices.DeleteFunc(slices.Clone(found), func(f string) bool { return path.Base(f) != name }); len(exact) > 0 {
		return exact
	}
	return found
}

// parse reads a document as it was written, with the prefixes in force. A
// document type declaration is passed over; entities are never expanded.
func (s *sources) parse(file string, document []byte) (*node, error) {
	d := decoder(unicoded(document))
	top := &node{file: file}
	open := []*node{top}
	for {
		line, column := d.InputPos()
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			line, column = d.InputPos()
			what := err.Error()
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				what = syntax.Msg
			}
			return nil, fmt.Errorf("%s:%d:%d: not XML: %s%s", file, line, column, bounded(what), looksLike(document))
		}
		parent := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			if len(open) > maxDepth {
				return nil, fmt.Errorf("%s:%d:%d: elements are nested deeper than %d", file, line, column, maxDepth)
			}
			if s.nodes++; s.nodes > maxNodes {
				return nil, fmt.Errorf("%s:%d:%d: the WSDL and what it imports have more than %d elements", file, line, column, maxNodes)
			}
			n := &node{name: token.Name, attrs: map[string]string{}, prefixes: parent.prefixes, file: file, line: line, column: column}
			n.readAttributes(token.Attr)
			parent.children = append(parent.children, n)
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
	if len(top.children) != 1 {
		return nil, fmt.Errorf("%s: not XML: there is no document in it%s", file, looksLike(document))
	}
	return top.children[0], nil
}

// looksLike says what a file is that is not XML.
func looksLike(document []byte) string {
	begin := strings.ToLower(strings.TrimSpace(string(document[:min(len(document), 300)])))
	switch {
	case begin == "":
		return "; the file is empty"
	case strings.HasPrefix(begin, "<!doctype html"), strings.Contains(begin, "<html"):
		return "; it is a page for browsers, save what the address with ?wsdl answers"
	case strings.HasPrefix(begin, "{"), strings.HasPrefix(begin, "["):
		return "; it is JSON"
	case strings.HasPrefix(begin, "%pdf"):
		return "; it is a PDF"
	case strings.HasPrefix(begin, "pk\x03\x04"):
		return "; it is an archive, unpack it into the folder"
	}
	return ""
}

// unicoded makes UTF-8 of a UTF-16 document, and leaves others as they are.
func unicoded(document []byte) []byte {
	var big bool
	switch {
	case bytes.HasPrefix(document, []byte{0xFE, 0xFF}):
		big, document = true, document[2:]
	case bytes.HasPrefix(document, []byte{0xFF, 0xFE}):
		document = document[2:]
	case bytes.HasPrefix(document, []byte{0, '<', 0}):
		big = true
	case bytes.HasPrefix(document, []byte{'<', 0}):
	default:
		return bytes.TrimPrefix(document, []byte("\uFEFF"))
	}
	units := make([]uint16, len(document)/2)
	for i := range units {
		low, high := document[2*i], document[2*i+1]
		if big {
			low, high = high, low
		}
		units[i] = uint16(low) | uint16(high)<<8
	}
	return []byte(string(utf16.Decode(units)))
}

func (n *node) readAttributes(attributes []xml.Attr) {
	own := map[string]string{}
	for _, a := range attributes {
		switch {
		case a.Name.Space == "xmlns":
			own[a.Name.Local] = a.Value
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			own[""] = a.Value
		case a.Name.Space == "":
			n.attrs[a.Name.Local] = strings.TrimSpace(a.Value)
		default:
			if n.others == nil {
				n.others = map[qname]string{}
			}
			n.others[qname{a.Name.Space, a.Name.Local}] = strings.TrimSpace(a.Value)
		}
	}
	if len(own) == 0 {
		return
	}
	for prefix, namespace := range n.prefixes {
		if _, ok := own[prefix]; !ok {
			own[prefix] = namespace
		}
	}
	n.prefixes = own
}

func (n *node) resolve(name string) qname {
	prefix, local, ok := strings.Cut(name, ":")
	if !ok {
		prefix, local = "", name
	}
	if prefix == "xml" {
		return qname{"http://www.w3.org/XML/1998/namespace", local}
	}
	return qname{n.prefixes[prefix], local}
}

func (n *node) is(space, local string) bool { return n.name.Space == space && n.name.Local == local }

// all gives the children of a name.
func (n *node) all(space, local string) []*node {
	var found []*node
	for _, child := range n.children {
		if child.is(space, local) {
			found = append(found, child)
		}
	}
	return found
}

// one gives the first child of a name, an empty node if there is none.
func (n *node) one(space, local string) *node {
	for _, child := range n.children {
		if child.is(space, local) {
			return child
		}
	}
	return &node{attrs: map[string]string{}, file: n.file, line: n.line, column: n.column}
}

// missing tells the node that one gives for nothing.
func (n *node) missing() bool { return n.name.Local == "" }

func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, child := range n.children {
		child.walk(visit)
	}
}

// same tells whether two elements say the same, wherever they stand.
func (n *node) same(m *node) bool {
	if n == m {
		return true
	}
	if n.name != m.name || len(n.attrs) != len(m.attrs) || len(n.children) != len(m.children) {
		return false
	}
	for name, value := range n.attrs {
		other, ok := m.attrs[name]
		if !ok {
			return false
		}
		switch name {
		case "type", "ref", "base", "itemType", "substitutionGroup":
			if n.resolve(value) != m.resolve(other) {
				return false
			}
		default:
			if value != other {
				return false
			}
		}
	}
	for i := range n.children {
		if !n.children[i].same(m.children[i]) {
			return false
		}
	}
	return true
}

// decoder reads XML whose prolog may name a Chinese charset.
func decoder(document []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(document))
	d.CharsetReader = func(label string, input io.Reader) (io.Reader, error) {
		if strings.HasPrefix(strings.ToLower(label), "utf-16") {
			return input, nil // unicoded has been here
		}
		c, err := charset.New(label, "refuse")
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(input)
		if err != nil {
			return nil, err
		}
		text, err := c.Decode(b)
		return strings.NewReader(text), err
	}
	return d
}
