package draft

import (
	"net/url"
	"regexp"

	"hishub/core"
)

// wsdl takes the methods of a WSDL.
func (p *plan) wsdl(w WSDL) {
	e := p.entrance("soap")
	e.options = []entry{
		{key: "endpoint", value: p.variable(e, "URL", "http://127.0.0.1:8080"+pathOf(w.Files[w.File]))},
		{key: "wsdl", value: literal(w.File, false)},
	}
	if w.Version != "1.1" {
		e.options = append(e.options, entry{key: "version", value: quoted(w.Version)})
	}
	if w.Port != "" {
		e.options = append(e.options, entry{key: "port", value: literal(w.Port, false), note: "the WSDL has several"})
	}
	for name, data := range w.Files {
		p.files[name] = data
	}
	lone := true
	for _, m := range w.Methods {
		o := &Offer{Call: m.Operation, Name: m.Operation, Words: m.Words, Place: w.File, Refused: m.Refused}
		o.Send, o.Sends = fieldsOfShape(m.Parameters, 0), m.Refused == ""
		o.Answer, o.Answers = fieldsOfShape(m.Results, 0), !m.Alone
		if len(m.Results) == 1 && isTextType(m.Results[0].Type) && len(m.Results[0].Children) == 0 && !m.Results[0].List {
			// What is inside of that text, the WSDL does not tell.
			o.Answer, o.Answers = nil, false
		}
		if m.OneWay {
			p.note("%s of %s gives no answer; whether it was done must be asked about", m.Operation, w.File)
		}
		if len(o.Send) == 1 && o.Send[0].leaf() && isTextType(o.Send[0].Type) && !o.Send[0].List {
			if e.lone == "" {
				e.lone = o.Send[0].Name
			}
			lone = lone && e.lone == o.Send[0].Name
		} else if m.Refused == "" && len(o.Send) > 0 {
			lone = false
		}
		e.add(o)
	}
	if !lone || len(e.offers) < 2 {
		e.lone = ""
	}
}

var addresses = regexp.MustCompile(`:address\s+location="([^"]*)"`)

// pathOf is the path of the first address in a WSDL: an example that only differs in
// its host writes the same requests as the HIS's own.
func pathOf(wsdl []byte) string {
	if found := addresses.FindSubmatch(wsdl); found != nil {
		if u, err := url.Parse(string(found[1])); err == nil && len(u.Path) > 1 {
			return u.EscapedPath()
		}
	}
	return "/his"
}

func isTextType(t string) bool {
	return t == "string" || t == "normalizedString" || t == "anyType" || t == ""
}

func fieldsOfShape(ps []core.Parameter, depth int) []Field {
	var out []Field
	if depth > 5 {
		return nil
	}
	for _, p := range ps {
		f := Field{Name: p.Name, Type: p.Type, Optional: !p.Required, List: p.List, Children: fieldsOfShape(p.Children, depth+1)}
		if p.Unknown != "" {
			f.Words = "not supported: " + p.Unknown
		}
		out = append(out, f)
	}
	return out
}
