package draft

import (
	"slices"
	"strconv"
	"strings"
)

// layer is one wrapping of a recorded request: a SOAP method's parameters, or a
// document, in which one field carries the next layer as text.
type layer struct {
	format     string // "" for SOAP parameters
	root       string
	attributes []Field // of the root
	head, tail []Field // beside the carrier; of the last layer, what all requests have
	carrier    *Field
}

// peel takes a request apart: its wrappings, and the document that is its own.
func peel(s *seen) (layers []layer, body []Field) {
	format, fields := s.format, s.fields
	for {
		l := layer{format: format}
		if format == "xml" && len(fields) == 1 {
			l.root = fields[0].Name
			var inner []Field
			for _, f := range fields[0].Children {
				if strings.HasPrefix(f.Name, ".") {
					l.attributes = append(l.attributes, f)
				} else {
					inner = append(inner, f)
				}
			}
			if len(inner) == 0 && len(l.attributes) == 0 {
				return append(layers, layer{format: format}), fields
			}
			fields = inner
		}
		at := -1
		for i, f := range fields {
			if len(f.Nested) > 0 && !f.List {
				if at >= 0 {
					at = -1
					break
				}
				at = i
			}
		}
		if at < 0 || fields[at].Nested[0] == "base64" || len(layers) > 4 {
			return append(layers, l), fields
		}
		carrier := fields[at]
		l.carrier, l.head, l.tail = &carrier, fields[:at], fields[at+1:]
		layers = append(layers, l)
		format, fields = carrier.Nested[0], carrier.Children
	}
}

func signature(layers []layer) string {
	var b strings.Builder
	for i, l := range layers {
		b.WriteString(l.format + "/")
		if i < len(layers)-1 {
			b.WriteString(l.root + "/" + l.carrier.Name + "/")
		}
	}
	return b.String()
}

var anyRoot = words("request req root data input params param xml body in message msg 请求")

// wrap makes the envelope of an entrance out of the requests that were recorded for
// it, and leaves to each what is its own.
func (p *plan) wrap(e *entrance) {
	type one struct {
		offer  *Offer
		layers []layer
		body   []Field
	}
	p.wrapHeaders(e)
	groups := map[string][]one{}
	most := ""
	for _, o := range e.offers {
		if o.Sample == nil || o.Sample.answer {
			continue
		}
		if o.Sample.format == "hl7v2" {
			e.write = []entry{{key: "send", under: []entry{{key: "$hl7v2", value: "= body"}}}}
			continue
		}
		layers, body := peel(o.Sample)
		sign := signature(layers)
		groups[sign] = append(groups[sign], one{o, layers, body})
		if len(groups[sign]) > len(groups[most]) {
			most = sign
		}
	}
	all := groups[most]
	for sign, others := range groups {
		for _, x := range others {
			if sign != most {
				p.note("%s is wrapped in another way than most; give it an envelope of its own", x.offer.Sample.file)
				x.offer.Send, x.offer.Sends = nil, false
			}
		}
	}
	if len(all) == 0 {
		return
	}
	last := len(all[0].layers) - 1
	root := all[0].layers[last].root
	for _, x := range all {
		if x.layers[last].root != root {
			root = ""
		}
	}
	if len(all) == 1 && !oneOf(local(root), anyRoot) && last == 0 {
		root = ""
	}
	if root == "" {
		for i := range all {
			x := &all[i]
			if l := x.layers[last]; l.root != "" {
				x.body = []Field{{Name: l.root, Children: append(slices.Clone(l.attributes), x.body...)}}
				x.layers[last].root, x.layers[last].attributes = "", nil
			}
		}
	}
	// What every request begins with is the envelope's.
	var head [][]Field
	for len(all) > 1 && root != "" || len(all) > 1 && all[0].layers[last].format != "xml" && all[0].layers[last].format != "" {
		i := len(head)
		var column []Field
		for _, x := range all {
			if i >= len(x.body) || !x.body[i].leaf() || x.body[i].Name != all[0].body[min(i, len(all[0].body)-1)].Name {
				column = nil
				break
			}
			column = append(column, x.body[i])
		}
		if column == nil || !shared(column) {
			break
		}
		head = append(head, column)
	}
	with := map[string]bool{}
	columnOf := func(level int, pick func(layer) []Field) [][]Field {
		var out [][]Field
		for i := range pick(all[0].layers[level]) {
			var column []Field
			for _, x := range all {
				if fields := pick(x.layers[level]); i < len(fields) {
					column = append(column, fields[i])
				}
			}
			out = append(out, column)
		}
		return out
	}
	give := func(columns [][]Field) []entry {
		var out []entry
		for _, column := range columns {
			out = append(out, p.shared(column, with))
		}
		return out
	}
	inner := append(give(head), entry{key: "$group", value: "= body"})
	if len(inner) == 1 {
		inner = nil
	}
	for level := last; level >= 0; level-- {
		l := all[0].layers[level]
		content := inner
		if level < last {
			// The next layer stands as a text in the carrier.
			under := content
			if l.carrier.CData {
				under = []entry{{key: "$cdata", under: content}}
			}
			content = append(give(columnOf(level, func(l layer) []Field { return l.head })), entry{key: keyOf(l.carrier.Name), under: under})
			content = append(content, give(columnOf(level, func(l layer) []Field { return l.tail }))...)
		}
		if l.root != "" {
			attributes := give(columnOf(level, func(l layer) []Field { return l.attributes }))
			if content == nil && len(attributes) == 0 {
				content = []entry{{key: keyOf(l.root), value: "= body"}}
			} else {
				if content == nil {
					content = []entry{{key: "$group", value: "= body"}}
				}
				content = []entry{{key: keyOf(l.root), under: append(attributes, content...)}}
			}
		}
		if l.format == "" || l.format == "form" && level == 0 && content == nil && e.kind == "rest" {
			inner = content // the connector makes a body of it
			continue
		}
		if content == nil {
			inner = []entry{{key: "$" + l.format, value: "= body"}}
		} else {
			inner = []entry{{key: "$" + l.format, under: content}}
		}
		if l.format == "xml" && level == 0 && all[0].offer.Sample.prolog != "" {
			p.format("xml", "xml", "{prolog: "+quoted(all[0].offer.Sample.prolog)+"}")
		}
	}
	if inner != nil {
		e.write = []entry{{key: "send", note: "guess: what the samples have in common", under: inner}}
	}
	for i, x := range all {
		x.offer.Send, x.offer.Sends = x.body[len(head):], true
		x.offer.with = p.withOf(all[i].layers, x.body[:len(head)], with)
		x.offer.own = func(body []Field, name string, attributes []Field) []Field {
			if root == "" && name != "" {
				body = []Field{{Name: name, Children: append(slices.Clone(attributes), body...)}}
			}
			return body[min(len(head), len(body)):]
		}
	}
	for name := range with {
		e.withs = append(e.withs, name)
	}
}

// wrapHeaders gives the envelope the headers that all recorded requests have.
func (p *plan) wrapHeaders(e *entrance) {
	var sampled []*Offer
	for _, o := range e.offers {
		if o.Sample != nil && o.Sample.http != nil {
			sampled = append(sampled, o)
		}
	}
	if len(sampled) == 0 || len(e.headers) > 0 {
		return
	}
	with := map[string]bool{}
	for _, h := range slices.Clone(sampled[0].Headers) {
		var column []Field
		for _, o := range sampled {
			if i := slices.IndexFunc(o.Headers, func(f Field) bool { return strings.EqualFold(f.Name, h.Name) }); i >= 0 {
				column = append(column, o.Headers[i])
			}
		}
		if len(column) != len(sampled) || oneOf(h.Name, callWords) {
			continue
		}
		e.headers = append(e.headers, p.shared(column, with))
		for _, o := range sampled {
			o.Headers = slices.DeleteFunc(o.Headers, func(f Field) bool { return strings.EqualFold(f.Name, h.Name) })
		}
	}
}

// shared tells whether a field is the envelope's: the same in all requests, or the
// one that says what they are.
func shared(column []Field) bool {
	if oneOf(column[0].Name, callWords) || surround(column[0]) {
		return true
	}
	for _, f := range column {
		if f.Sample != column[0].Sample {
			return false
		}
	}
	if _, message := likely(column[0], everybody); message {
		return false // the same patient in all samples is no constant
	}
	return true
}

// everybody are the fields that a recorded message may have by chance.
var everybody = append(messageOf("prescription.create"), messageOf("payment.settle")...)

func surround(f Field) bool {
	for _, w := range surrounding {
		if resemblance(f, "", w.words) >= 80 {
			return true
		}
	}
	return false
}

// shared writes a field of the envelope; what differs from call to call is with.x.
func (p *plan) shared(column []Field, with map[string]bool) entry {
	f := column[0]
	key := keyOf(f.Name)
	same := true
	for _, other := range column {
		same = same && other.Sample == f.Sample
	}
	s := &speaker{plan: p, found: map[string]value{}}
	switch {
	case !f.leaf():
		return entry{key: key, under: s.fields(f.Children, "message", nil, "")}
	case strings.HasPrefix(f.Name, ".xmlns"):
		return entry{key: key, value: quoted(f.Sample)}
	case oneOf(f.Name, callWords) && !same:
		name := withName(f.Name)
		with[name] = true
		return entry{key: key, value: "= with." + name}
	}
	if e, ok := s.surrounding(key, f); ok {
		return e
	}
	if same {
		return entry{key: key, value: literal(f.Sample, f.Bare), note: "the same in " + strconv.Itoa(len(column)) + " samples"}
	}
	return s.unknown(key, f)
}

func withName(name string) string {
	parts := cut(name)
	return strings.Join(parts, "_")
}

// withOf are the values that a request has for what the envelope takes as with.x.
func (p *plan) withOf(layers []layer, head []Field, with map[string]bool) []entry {
	fields := slices.Clone(head)
	for _, l := range layers {
		fields = append(append(append(fields, l.head...), l.tail...), l.attributes...)
	}
	var out []entry
	for _, f := range fields {
		if name := withName(f.Name); with[name] && oneOf(f.Name, callWords) {
			out = append(out, entry{key: yamlKey(name), value: literal(f.Sample, f.Bare)})
		}
	}
	return out
}
