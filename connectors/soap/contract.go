package soap

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hooklift/gowsdl"

	"hishub/connectors/option"
	"hishub/core"
)

// contract is what a WSDL says about the operations of its bindings of one
// version of SOAP.
type contract struct {
	file       string
	operations map[string]*operation
}

type operation struct {
	name   string
	action string
	input  *element // the wrapper of the parameters
	output *element // nil if the WSDL has none that we know
	// headers are the blocks that soap:header binds to the request.
	headers []*element
	// unknown says why the operation cannot be called.
	unknown string
}

// describeDepth ends the description of types that hold themselves.
const describeDepth = 8

// maxFiles bounds how many files a WSDL may draw in.
const maxFiles = 100

// readContract reads a WSDL and the files that it imports from the folder.
// gowsdl reads the WSDL's own parts; the schemas are ours, because order is
// everything in them and gowsdl keeps only a part of it. port picks one of
// several ports, or bindings; "" takes them all.
func readContract(files fs.FS, file string, v version, port string) (*contract, error) {
	d := definitions{files: files, version: v, schemas: newSchemas(), seen: map[string]bool{}}
	if err := d.read(file); err != nil {
		return nil, err
	}
	binding, err := d.binding(port)
	if err != nil {
		return nil, err
	}
	c := &contract{file: file, operations: map[string]*operation{}}
	for _, w := range d.wsdls {
		for _, b := range w.Binding {
			// gowsdl sees only the bindings of one version in this field.
			if b.SOAPBinding.Transport == "" || binding != "" && b.Name != binding {
				continue
			}
			for _, o := range b.Operations {
				if _, ok := c.operations[o.Name]; !ok {
					c.operations[o.Name] = d.operation(b, o)
				}
			}
		}
	}
	if len(c.operations) == 0 {
		what := "the file has no SOAP " + v.name + " binding with operations"
		if d.others {
			what += `; it has one of SOAP ` + v.other().name + `: write version: "` + v.other().name + `"`
		}
		return nil, errors.New(what)
	}
	return c, nil
}

// binding finds what port means: a port of a service, or a binding itself.
func (d *definitions) binding(port string) (string, error) {
	if port == "" {
		return "", nil
	}
	bindings := map[string]string{}
	for _, w := range d.wsdls {
		for _, b := range w.Binding {
			if b.SOAPBinding.Transport != "" {
				bindings[b.Name] = b.Name
			}
		}
	}
	for _, w := range d.wsdls {
		for _, s := range w.Service {
			for _, p := range s.Ports {
				if b, ok := bindings[local(p.Binding)]; ok {
					bindings[p.Name] = b
				}
			}
		}
	}
	if b, ok := bindings[port]; ok {
		return b, nil
	}
	return "", errPort{"the wsdl has no port " + noSuch("", port, slices.Sorted(maps.Keys(bindings))) + " (SOAP " + d.version.name + ")"}
}

// errPort is a mistake of the option port, not of the file.
type errPort struct{ what string }

func (e errPort) Error() string { return e.what }

// definitions is a WSDL with all that it imports.
type definitions struct {
	files   fs.FS
	version version
	others  bool // there are bindings of the other version
	wsdls   []*gowsdl.WSDL
	schemas *schemas
	seen    map[string]bool
}

func (d *definitions) read(file string) error {
	if d.seen[file] {
		return nil
	}
	d.seen[file] = true
	if len(d.seen) > maxFiles {
		return fmt.Errorf("more than %d files are imported", maxFiles)
	}
	document, err := fs.ReadFile(d.files, file)
	if err != nil {
		return fmt.Errorf("no readable file %q in the hospital folder", file)
	}
	locations, err := d.schemas.read(document)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if root, err := parse(document); err == nil && len(root.children) == 1 && root.children[0].name.Local == "definitions" {
		w := new(gowsdl.WSDL)
		d.others = d.others || bytes.Contains(document, []byte(d.version.other().binding))
		if err := decoder(d.version.bound(document)).Decode(w); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		d.wsdls = append(d.wsdls, w)
		for _, i := range w.Imports {
			locations = append(locations, i.Location)
		}
	} else if len(d.wsdls) == 0 {
		return fmt.Errorf("%s is no WSDL 1.1", file)
	}
	for _, l := range locations {
		if l == "" {
			continue
		}
		if strings.Contains(l, "://") {
			return fmt.Errorf("%s imports from the network; save that file beside it and write its name as the location", file)
		}
		if err := d.read(path.Join(path.Dir(file), l)); err != nil {
			return err
		}
	}
	return nil
}

func (d *definitions) operation(b *gowsdl.WSDLBinding, bound *gowsdl.WSDLOperation) *operation {
	o := &operation{name: bound.Name, action: bound.SOAPOperation.SOAPAction}
	style := bound.SOAPOperation.Style
	if style == "" {
		style = b.SOAPBinding.Style
	}
	if bound.Input.SOAPBody.Use == "encoded" {
		o.unknown = `the encoded use; leave out the wsdl and write namespace: and qualified: false`
		return o
	}
	port := d.port(local(b.Type), bound.Name)
	if port == nil {
		o.unknown = "an operation that its portType does not have"
		return o
	}
	if style == "rpc" {
		o.input, o.unknown = d.call(bound.Name, port.Input.Message, bound.Input.SOAPBody)
		o.output, _ = d.call(bound.Name+"Response", port.Output.Message, bound.Output.SOAPBody)
	} else {
		o.input, o.unknown = d.wrapper(port.Input.Message, bound.Input.SOAPBody.Parts)
		o.output, _ = d.wrapper(port.Output.Message, bound.Output.SOAPBody.Parts)
	}
	for _, h := range bound.Input.SOAPHeader {
		if e, _ := d.part(h.Message, h.Part); e != nil {
			o.headers = append(o.headers, e)
		}
	}
	return o
}

// call is the wrapper of the rpc style: named after the operation, in the
// namespace of the binding, around the parts of the message, which have none.
func (d *definitions) call(name, message string, body gowsdl.WSDLSOAPBody) (*element, string) {
	w, parts := d.message(message)
	if w == nil {
		return nil, "a message that is declared nowhere"
	}
	t := &typ{name: name, complex: true}
	for _, p := range parts {
		if body.Parts != "" && !slices.Contains(strings.Fields(body.Parts), p.Name) {
			continue
		}
		if p.Type == "" {
			return nil, "the rpc style with a part that is an element"
		}
		prefix, name, ok := strings.Cut(p.Type, ":")
		if !ok {
			prefix, name = "", p.Type
		}
		e := &element{name: p.Name, required: true, typ: d.typ(w.Xmlns[prefix], name)}
		t.content = append(t.content, particle{kind: oneElement, element: e, required: true})
	}
	namespace := body.Namespace
	if namespace == "" {
		namespace = w.TargetNamespace
	}
	return &element{name: name, namespace: namespace, required: true, typ: t.complete()}, ""
}

// typ finds a type; gowsdl loses prefixes that are declared below the root, and
// a name that occurs once will do for them.
func (d *definitions) typ(namespace, name string) *typ {
	if namespace != "" {
		return d.schemas.named(qname{namespace, name})
	}
	var found []qname
	for q := range d.schemas.types {
		if q.local == name {
			found = append(found, q)
		}
	}
	if len(found) == 1 {
		return d.schemas.named(found[0])
	}
	return &typ{name: name}
}

func (d *definitions) message(name string) (*gowsdl.WSDL, []*gowsdl.WSDLPart) {
	for _, w := range d.wsdls {
		for _, m := range w.Messages {
			if m.Name == local(name) {
				return w, m.Parts
			}
		}
	}
	return nil, nil
}

// part is the element that a part of a message names.
func (d *definitions) part(message, part string) (*element, string) {
	w, parts := d.message(message)
	for _, p := range parts {
		if p.Name != part || p.Element == "" {
			continue
		}
		prefix, name, ok := strings.Cut(p.Element, ":")
		if !ok {
			prefix, name = "", p.Element
		}
		if e := d.element(w.Xmlns[prefix], name); e != nil {
			return e, ""
		}
		return nil, "the element " + name + " that is declared nowhere"
	}
	return nil, "a part that is declared nowhere"
}

func (d *definitions) port(portType, operation string) *gowsdl.WSDLOperation {
	for _, w := range d.wsdls {
		for _, p := range w.PortTypes {
			if p.Name != portType {
				continue
			}
			for _, o := range p.Operations {
				if o.Name == operation {
					return o
				}
			}
		}
	}
	return nil
}

// wrapper is the one element of a message's body; parts names it where others
// of the message are headers.
func (d *definitions) wrapper(message, parts string) (*element, string) {
	w, all := d.message(message)
	if w == nil {
		return nil, "a message that is declared nowhere"
	}
	only := strings.TrimSpace(parts)
	if only == "" && len(all) == 1 {
		only = all[0].Name
	}
	i := slices.IndexFunc(all, func(p *gowsdl.WSDLPart) bool { return p.Name == only })
	if i < 0 || all[i].Element == "" {
		return nil, "a message that is not one element (document/literal wrapped is)"
	}
	e, unknown := d.part(message, only)
	if e != nil && !e.typ.complex {
		return nil, "the element " + e.name + " that is no wrapper of parameters"
	}
	return e, unknown
}

// element finds a global element; where gowsdl lost a prefix that was declared
// below the root, a name that occurs once will do.
func (d *definitions) element(namespace, name string) *element {
	if e := d.schemas.global(qname{namespace, name}); e != nil {
		return e
	}
	var found []qname
	for q := range d.schemas.elements {
		if q.local == name {
			found = append(found, q)
		}
	}
	if len(found) == 1 {
		return d.schemas.global(found[0])
	}
	return nil
}

// find gives an operation that can be called.
func (c *contract) find(name string) (*operation, error) {
	o, ok := c.operations[name]
	if !ok {
		names := make([]string, 0, len(c.operations))
		for n := range c.operations {
			names = append(names, n)
		}
		slices.Sort(names)
		what := "there are " + strings.Join(names, ", ")
		if near := option.Near(name, names); len(near) > 0 {
			what = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return nil, fmt.Errorf("%s has no operation %s; %s", c.file, name, what)
	}
	if o.unknown != "" {
		return nil, fmt.Errorf("operation %s of %s uses %s, which is not known yet", name, c.file, o.unknown)
	}
	if u := o.input.typ.unknown; u != "" {
		return nil, fmt.Errorf("the parameters of %s in %s use %s, which is not known yet", name, c.file, u)
	}
	return o, nil
}

func (c *contract) uses(namespace string) bool {
	for _, o := range c.operations {
		if o.input != nil && o.input.namespace == namespace {
			return true
		}
	}
	return false
}

func (o *operation) shape() core.Shape {
	s := core.Shape{Operation: o.name, Parameters: o.input.typ.parameters(describeDepth)}
	if o.output != nil {
		s.Results = o.output.typ.parameters(describeDepth)
	}
	return s
}
