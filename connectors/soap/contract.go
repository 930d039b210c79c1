package soap

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hooklift/gowsdl"

	"hishub/connectors/option"
	"hishub/core"
)

// contract is what a WSDL says about the operations of its SOAP 1.1 bindings.
type contract struct {
	file       string
	operations map[string]*operation
}

type operation struct {
	name   string
	action string
	input  *element // the wrapper of the parameters
	output *element // nil if the WSDL has none that we know
	// unknown says why the operation cannot be called.
	unknown string
}

// describeDepth ends the description of types that hold themselves.
const describeDepth = 8

// maxFiles bounds how many files a WSDL may draw in.
const maxFiles = 100

// readContract reads a WSDL and the files that it imports from the folder.
// gowsdl reads the WSDL's own parts; the schemas are ours, because order is
// everything in them and gowsdl keeps only a part of it.
func readContract(files fs.FS, file string) (*contract, error) {
	d := definitions{files: files, schemas: newSchemas(), seen: map[string]bool{}}
	if err := d.read(file); err != nil {
		return nil, err
	}
	c := &contract{file: file, operations: map[string]*operation{}}
	for _, w := range d.wsdls {
		for _, b := range w.Binding {
			// gowsdl sees only SOAP 1.1 bindings in this field.
			if b.SOAPBinding.Transport == "" {
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
		return nil, errors.New("the file has no SOAP 1.1 binding with operations")
	}
	return c, nil
}

// definitions is a WSDL with all that it imports.
type definitions struct {
	files   fs.FS
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
		if err := decoder(document).Decode(w); err != nil {
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
	switch {
	case style == "rpc":
		o.unknown = "the rpc style"
		return o
	case bound.Input.SOAPBody.Use == "encoded":
		o.unknown = "the encoded use"
		return o
	}
	port := d.port(local(b.Type), bound.Name)
	if port == nil {
		o.unknown = "an operation that its portType does not have"
		return o
	}
	o.input, o.unknown = d.wrapper(port.Input.Message)
	o.output, _ = d.wrapper(port.Output.Message)
	return o
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

// wrapper is the one element of a message.
func (d *definitions) wrapper(message string) (*element, string) {
	for _, w := range d.wsdls {
		for _, m := range w.Messages {
			if m.Name != local(message) {
				continue
			}
			if len(m.Parts) != 1 || m.Parts[0].Element == "" {
				return nil, "a message that is not one element (document/literal wrapped is)"
			}
			prefix, name, ok := strings.Cut(m.Parts[0].Element, ":")
			if !ok {
				prefix, name = "", m.Parts[0].Element
			}
			e := d.element(w.Xmlns[prefix], name)
			switch {
			case e == nil:
				return nil, "the element " + name + " that is declared nowhere"
			case !e.typ.complex:
				return nil, "the element " + name + " that is no wrapper of parameters"
			}
			return e, ""
		}
	}
	return nil, "a message that is declared nowhere"
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
