package soap

import (
	"bytes"
	"encoding/xml"
	"io/fs"
	"slices"
	"strings"

	"hishub/core"
)

// Offered is what a WSDL offers, for somebody who begins a hospital folder.
type Offered struct {
	// Version of SOAP in whose bindings the methods are, "1.1" where there are both.
	Version string
	// Port that must be named, "" where the WSDL leaves no choice.
	Port    string
	Methods []Method
	// Files are the WSDL and all that it draws in, as paths of the folder.
	Files []string
}

// Method is an operation of a WSDL.
type Method struct {
	core.Shape
	// Words are those of its documentation, "" without.
	Words string
	// Refused says why it cannot be called, and where; "" if it can.
	Refused string
	OneWay  bool
	// Header are the blocks that the WSDL binds to its requests.
	Header []string
	// Alone: the answer is the text of one element.
	Alone bool
}

// Offer reads a WSDL of a folder. The error names file and line.
func Offer(files fs.FS, file string) (*Offered, error) {
	v := soap11
	c, err := readContract(files, file, v, "")
	if err != nil {
		other, otherErr := readContract(files, file, soap12, "")
		if otherErr != nil {
			return nil, err
		}
		c, v = other, soap12
	}
	d, err := readDefinitions(files, file, v)
	if err != nil {
		return nil, err
	}
	out := &Offered{Version: v.name}
	for name := range d.sources.roots {
		out.Files = append(out.Files, name)
	}
	slices.Sort(out.Files)
	for _, o := range c.operations {
		if len(o.ports) > 1 {
			out.Port = o.ports[0]
			if c, err = readContract(files, file, v, out.Port); err != nil {
				return nil, err
			}
			break
		}
	}
	words := map[string]string{}
	for _, name := range out.Files {
		documented(files, name, words)
	}
	seen := map[string]bool{}
	for _, b := range d.order {
		for _, n := range b.all(wsdlNamespace, "operation") {
			o := c.operations[n.attrs["name"]]
			if o == nil || seen[o.name] || !slices.Contains(o.ports, b.attrs["name"]) {
				continue
			}
			seen[o.name] = true
			out.Methods = append(out.Methods, o.offered(c, words[o.name]))
		}
	}
	return out, nil
}

func (o *operation) offered(c *contract, words string) Method {
	m := Method{Shape: core.Shape{Operation: o.name}, Words: words, OneWay: o.oneWay}
	for _, h := range o.headers {
		m.Header = append(m.Header, h.name)
	}
	if _, err := c.find(o.name); err != nil {
		m.Refused = err.Error()
		return m
	}
	m.Shape = o.shape()
	_, m.Alone = o.output.alone()
	return m
}

// documented gathers the documentation of operations, which callers do without.
func documented(files fs.FS, file string, into map[string]string) {
	document, err := readBounded(files, file)
	if err != nil {
		return
	}
	d := decoder(unicoded(document))
	operation := ""
	for {
		t, err := d.Token()
		if err != nil {
			return // who reads the WSDL itself says what is wrong with it
		}
		start, ok := t.(xml.StartElement)
		switch {
		case !ok:
		case start.Name.Local == "operation":
			operation = ""
			for _, a := range start.Attr {
				if a.Name.Local == "name" {
					operation = a.Value
				}
			}
		case start.Name.Local == "documentation" && operation != "" && into[operation] == "":
			var text struct {
				Text []byte `xml:",chardata"`
			}
			if d.DecodeElement(&text, &start) == nil {
				into[operation] = bounded(strings.Join(strings.Fields(string(bytes.ToValidUTF8(text.Text, nil))), " "))
			}
		case start.Name.Local == "message" || start.Name.Local == "types" || start.Name.Local == "service":
			operation = ""
		}
	}
}
