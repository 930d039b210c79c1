package soap

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/hooklift/gowsdl"

	"hishub/connectors/option"
)

// definitions is a WSDL with all that it imports.
type definitions struct {
	sources *sources
	version version
	schemas *schemas
	// The parts of all files, by name.
	messages, portTypes, bindings map[qname]*node
	order                         []*node // bindings, as they stand in the files
	services                      []*node
	others                        bool // there are bindings of the other version
	read                          map[readKey]bool
	wrong                         mistakes
}

type readKey struct{ file, target string }

// mistakes are all that is wrong with a WSDL and its imports.
type mistakes []string

func (m mistakes) Error() string { return strings.Join(m, "; ") }

// maxMistakes ends the list where a folder lacks a whole tree of schemas.
const maxMistakes = 20

func (d *definitions) mistake(err error) {
	if text := err.Error(); len(d.wrong) < maxMistakes && !slices.Contains(d.wrong, text) {
		d.wrong = append(d.wrong, text)
	}
}

// readDefinitions reads a WSDL and the files that it imports from the folder.
func readDefinitions(files fs.FS, file string, v version) (*definitions, error) {
	d := &definitions{
		sources: &sources{folder: files, roots: map[string]*node{}}, version: v, schemas: newSchemas(),
		messages: map[qname]*node{}, portTypes: map[qname]*node{}, bindings: map[qname]*node{}, read: map[readKey]bool{},
	}
	root, err := d.sources.root(file)
	if err != nil {
		return nil, err
	}
	switch {
	case root.is(wsdlNamespace, "definitions"):
		d.take(root)
	case root.name.Local == "description" && strings.HasSuffix(root.name.Space, "/wsdl"):
		return nil, fmt.Errorf("%s is WSDL 2.0, which is not supported; ask for the WSDL 1.1", root.place())
	case root.is(schemaNamespace, "schema"):
		return nil, fmt.Errorf("%s is no WSDL 1.1 but a schema; name the file that has the operations", root.place())
	default:
		return nil, fmt.Errorf("%s is no WSDL 1.1: its root is %s%s", root.place(), bounded(root.name.Local), looksLike([]byte("<"+root.name.Local)))
	}
	if len(d.wrong) > 0 {
		return nil, d.wrong
	}
	return d, nil
}

// take notes what a wsdl:definitions declares, and reads what it imports.
func (d *definitions) take(root *node) {
	target := root.attrs["targetNamespace"]
	for _, n := range root.children {
		if n.name.Space != wsdlNamespace {
			continue
		}
		at := qname{target, n.attrs["name"]}
		switch n.name.Local {
		case "import":
			if location := n.attrs["location"]; location != "" {
				d.follow(n, location, "")
			}
		case "types":
			for _, schema := range n.children {
				switch {
				case schema.is(schemaNamespace, "schema"):
					d.takeSchema(schema, schema.attrs["targetNamespace"], false)
				case schema.name.Local == "schema":
					d.mistake(fmt.Errorf("%s: a schema of %s is not supported; the HIS must publish one of %s", schema.place(), bounded(schema.name.Space), schemaNamespace))
				}
			}
		case "message":
			first(d.messages, at, n)
		case "portType":
			first(d.portTypes, at, n)
		case "binding":
			if first(d.bindings, at, n) {
				d.order = append(d.order, n)
			}
			d.others = d.others || !n.one(d.version.other().binding, "binding").missing()
		case "service":
			d.services = append(d.services, n)
		}
	}
}

func first(into map[qname]*node, at qname, n *node) bool {
	if _, ok := into[at]; ok {
		return false
	}
	into[at] = n
	return true
}

func (d *definitions) takeSchema(n *node, target string, adopted bool) {
	key := readKey{fmt.Sprintf("%s:%p", n.file, n), target}
	if d.read[key] {
		return
	}
	d.read[key] = true
	sc := &schema{n, target, adopted}
	for _, child := range n.children {
		if child.name.Space != schemaNamespace {
			continue
		}
		switch child.name.Local {
		case "import":
			if location := child.attrs["schemaLocation"]; location != "" {
				d.follow(child, location, "")
			}
		case "include", "redefine", "override":
			if location := child.attrs["schemaLocation"]; location != "" {
				d.follow(child, location, target)
			}
		}
	}
	d.schemas.declare(sc)
}

// follow reads what an import or an include names. An included schema without a
// target takes that of its includer.
func (d *definitions) follow(n *node, location, target string) {
	file, err := d.sources.locate(n, location)
	if err != nil {
		d.mistake(err)
		return
	}
	if file == "" {
		return
	}
	root, err := d.sources.root(file)
	if err != nil {
		d.mistake(fmt.Errorf("%s imports %s: %w", n.place(), file, err))
		return
	}
	switch {
	case root.is(schemaNamespace, "schema"):
		own, has := root.attrs["targetNamespace"]
		adopted := !has && n.name.Local != "import"
		if !adopted {
			target = own
		}
		d.takeSchema(root, target, adopted)
	case root.is(wsdlNamespace, "definitions"):
		if key := (readKey{file, ""}); !d.read[key] {
			d.read[key] = true
			d.take(root)
		}
	default:
		d.mistake(fmt.Errorf("%s imports %s, which is neither a schema nor a WSDL 1.1: its root is %s%s", n.place(), file, bounded(root.name.Local), looksLike([]byte("<"+root.name.Local))))
	}
}

// lookup finds a part of the WSDL. Some name a namespace that nothing is in;
// a local name that occurs once will do for them.
func lookup(in map[qname]*node, from *node, name string) *node {
	q := from.resolve(name)
	if n, ok := in[q]; ok {
		return n
	}
	var found *node
	for k, n := range in {
		if k.local == q.local {
			if found != nil {
				return nil
			}
			found = n
		}
	}
	return found
}

// bound tells whether a binding is one of SOAP, in the version that is spoken.
func (d *definitions) bound(b *node) bool { return !b.one(d.version.binding, "binding").missing() }

// binding finds what port means: a port of a service, or a binding itself.
func (d *definitions) binding(port string) (*node, error) {
	if port == "" {
		return nil, nil
	}
	named := map[string]*node{}
	for _, b := range d.order {
		if d.bound(b) {
			named[b.attrs["name"]] = b
		}
	}
	for _, s := range d.services {
		for _, p := range s.all(wsdlNamespace, "port") {
			if b := lookup(d.bindings, p, p.attrs["binding"]); b != nil && d.bound(b) {
				named[p.attrs["name"]] = b
			}
		}
	}
	if b, ok := named[port]; ok {
		return b, nil
	}
	return nil, errPort{"the wsdl has no port " + noSuch("", port, slices.Sorted(maps.Keys(named))) + " (SOAP " + d.version.name + ")"}
}

// errPort is a mistake of the option port, not of the file.
type errPort struct{ what string }

func (e errPort) Error() string { return e.what }

// part is one part of a message: gowsdl's words, and where they stand.
type part struct {
	gowsdl.WSDLPart
	at *node
}

func (d *definitions) message(from *node, name string) ([]part, *node) {
	n := lookup(d.messages, from, name)
	if n == nil {
		return nil, nil
	}
	var parts []part
	for _, p := range n.all(wsdlNamespace, "part") {
		parts = append(parts, part{gowsdl.WSDLPart{Name: p.attrs["name"], Element: p.attrs["element"], Type: p.attrs["type"]}, p})
	}
	return parts, n
}

// body is the soap:body of an input or output; ok is false where other parts
// travel as attachments.
func (d *definitions) body(direction *node) (b gowsdl.WSDLSOAPBody, at *node, ok bool) {
	at = direction.one(d.version.binding, "body")
	ok = true
	if at.missing() {
		direction.walk(func(n *node) {
			switch {
			case n.is(d.version.binding, "body") && at.missing():
				at = n
			case n.is("http://schemas.xmlsoap.org/wsdl/mime/", "content"):
				ok = false
			}
		})
	}
	b = gowsdl.WSDLSOAPBody{Parts: at.attrs["parts"], Use: at.attrs["use"], Namespace: at.attrs["namespace"], EncodingStyle: at.attrs["encodingStyle"]}
	return b, at, ok
}

// element finds the global element that a part names.
func (d *definitions) element(p part) (*element, string) {
	q := p.at.resolve(p.Element)
	if e := d.schemas.global(q); e != nil {
		return e, ""
	}
	var found []qname
	for k := range d.schemas.elements {
		if k.local == q.local {
			found = append(found, k)
		}
	}
	if len(found) == 1 {
		return d.schemas.global(found[0]), ""
	}
	near := ""
	if names := option.Near(q.local, slices.Sorted(d.schemas.elements.locals())); len(names) > 0 {
		near = "; there is " + strings.Join(names, ", ")
	}
	return nil, "the element " + q.String() + " that is declared nowhere (" + p.at.place() + ")" + near
}

func (ds declarations) locals() func(func(string) bool) {
	return func(yield func(string) bool) {
		for q := range ds {
			if !yield(q.local) {
				return
			}
		}
	}
}

// typed is a parameter of the rpc style: unqualified, named after its part.
func (d *definitions) typed(p part) (*element, string) {
	if p.Type == "" && p.Element == "" {
		return nil, "a part that has neither element nor type (" + p.at.place() + ")"
	}
	if p.Type == "" {
		return nil, "the rpc style with a part that is an element, which stacks write in different ways (" + p.at.place() + ")"
	}
	if !isLocalName(p.Name) {
		return nil, "a part whose name is none, " + bounded(p.Name) + " (" + p.at.place() + ")"
	}
	e := &element{name: p.Name, min: 1, max: 1, at: p.at.place()}
	e.typ = d.schemas.named(p.at.resolve(p.Type), p.at)
	d.schemas.finish()
	return e, ""
}
