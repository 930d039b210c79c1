package draft

import (
	"slices"
	"strings"

	"hishub/core"
)

// placeSamples finds what each recorded message is an example of.
func (p *plan) placeSamples() {
	taken := map[string]*Offer{}
	// What is usual comes first, and is drafted from.
	slices.SortStableFunc(p.samples, func(a, b *seen) int { return len(a.variant) - len(b.variant) })
	for _, answers := range []bool{false, true} {
		for _, s := range p.samples {
			if s.answer != answers {
				continue
			}
			if o := taken[s.stem]; o != nil {
				p.joinSample(o, s)
				continue
			}
			o := p.offerOf(s)
			if o == nil {
				if s.answer {
					p.note("%s: an answer without its request; name them x.request.… and x.response.…", s.file)
					if e := p.entranceOf(s); e != nil {
						s.entrance = e
					}
					continue
				}
				o = &Offer{Name: s.stem, Call: s.call(), Place: s.file}
				p.entranceFor(s).add(o)
			} else if o.Sample != nil && !s.answer {
				// One entrance for all: the method is the same, the message another.
				o2 := &Offer{Name: s.stem, Call: o.Call, Place: s.file}
				o.entrance.add(o2)
				if o.Name == o.Call && o.Sample.stem != "" {
					o.Name = o.Sample.stem
				}
				o = o2
			}
			if !s.answer && o.Name != s.stem && o.entrance.kind != "soap" {
				o.Name += " " + s.stem
			}
			if s.kind != "" && !o.Login && (!s.answer || o.Sample == nil) {
				o.kind, o.why = s.kind, "the name of "+s.file
			}
			taken[s.stem] = o
			p.joinSample(o, s)
		}
	}
}

func (p *plan) joinSample(o *Offer, s *seen) {
	s.entrance = o.entrance
	if s.charset != "UTF-8" {
		o.entrance.option("charset", s.charset, "as the samples")
	}
	if s.answer {
		o.Replies = append(o.Replies, s)
		o.Answers = true
		return
	}
	if o.Sample != nil && s.variant != o.Sample.variant && o.Asked[s.variant] == nil {
		if o.Asked == nil {
			o.Asked = map[string]*seen{}
		}
		o.Asked[s.variant] = s
		return
	}
	if o.Sample != nil {
		p.note("%s is a second request of %s; only the first is drafted from", s.file, o.Name)
		return
	}
	o.Sample, o.Sends, o.Send = s, true, s.fields
	if s.http != nil {
		o.Query = s.http.query
		for _, h := range s.http.header {
			switch strings.ToLower(h.Name) {
			case "host", "content-length", "user-agent", "accept", "accept-encoding", "connection", "content-type", "soapaction", "cache-control", "postman-token":
			default:
				o.Headers = append(o.Headers, h)
			}
		}
	}
	if s.format == "form" {
		o.entrance.option("content_type", "application/x-www-form-urlencoded", "as the samples")
	}
}

func (e *entrance) option(key, value, note string) {
	for _, o := range e.options {
		if o.key == key {
			return
		}
	}
	e.options = append(e.options, entry{key: key, value: literal(value, false), note: note})
}

// offerOf finds what was described before: by the SOAP method, the path, the name.
func (p *plan) offerOf(s *seen) *Offer {
	for _, e := range p.entrances {
		for _, o := range e.offers {
			switch {
			case s.soap != "" && e.kind == "soap" && (o.Call == s.method || o.Call+"Response" == s.method):
				return o
			case s.http != nil && s.http.path != "" && e.kind == "rest" && o.Call == s.http.method+" "+s.http.path:
				return o
			}
		}
	}
	for _, e := range p.entrances {
		for _, o := range e.offers {
			if s.soap == "" && plainName(o.Name) == plainName(s.stem) && s.stem != "" {
				if e.kind == "soap" && !s.answer && len(o.Send) == 1 {
					// A bare inner document stands for the text of the method's parameter.
					f := o.Send[0]
					f.Children, f.Nested, f.Seen = s.fields, []string{s.format}, true
					if s.format != "" {
						s.fields, s.format, s.soap = []Field{f}, "", "1.1"
						s.prolog = ""
					}
				}
				if e.kind == "soap" && s.answer && s.format != "" && s.soap == "" {
					s.fields = []Field{{Name: "result", Children: s.fields, Nested: []string{s.format}, Seen: true}}
					s.format, s.soap = "", "1.1"
				}
				return o
			}
		}
	}
	if s.kind != "" && s.soap == "" && (s.http == nil || s.http.path == "") {
		return p.byKind(s.kind)
	}
	return nil
}

// byKind finds the one thing described before that looks like the transaction that a
// sample's name tells, as long as it is only one.
func (p *plan) byKind(kind core.Kind) (found *Offer) {
	for _, e := range p.entrances {
		for _, o := range e.offers {
			is := o.kind
			if is == "" && !o.Login && o.Refused == "" {
				is, _ = guessKind(o.Name, o.Words)
			}
			if is != kind {
				continue
			}
			if found != nil {
				return nil
			}
			found = o
		}
	}
	return found
}

// unused notes the samples that nothing is drafted from, and how they could be.
func (p *plan) unused() {
	for _, e := range p.entrances {
		for _, o := range e.offers {
			used := p.drafted[o.kind]
			if o.Login || o.unwanted || o.kind != "" && used == o {
				continue
			}
			all := o.Replies
			if o.Sample != nil {
				all = append([]*seen{o.Sample}, all...)
			}
			for _, s := range all {
				if used == nil {
					p.note("%s is not used: nothing tells which transaction it is; give it a name that begins with it, as payment.status.request.json", s.file)
				} else {
					p.note("%s is not used: %s is drafted from %s; if it is another transaction, give it a name that begins with that, as payment.status.request.json", s.file, o.kind, used.Place)
				}
			}
		}
	}
}

// entranceOf finds a connector that carries such messages.
func (p *plan) entranceOf(s *seen) *entrance {
	kind := s.carrier()
	for _, e := range p.entrances {
		if e.kind == kind {
			return e
		}
	}
	return nil
}

func (s *seen) carrier() string {
	switch {
	case s.soap != "":
		return "soap"
	case s.bare:
		return "tcp"
	}
	return "rest"
}

func (p *plan) entranceFor(s *seen) *entrance {
	if e := p.entranceOf(s); e != nil {
		return e
	}
	e := p.entrance(s.carrier())
	switch e.kind {
	case "soap":
		e.options = []entry{{key: "endpoint", value: p.variable(e, "URL", "http://127.0.0.1:8080/his")}, {key: "namespace", value: quoted(s.space), note: "of the sample; with the HIS's WSDL in the folder write wsdl: instead"}}
		if s.space == "" {
			e.options[1].value, e.options[1].note = open, "the namespace of the methods"
		}
		if s.soap != "1.1" {
			e.options = append(e.options, entry{key: "version", value: quoted(s.soap)})
		}
	case "tcp":
		e.options = append([]entry{{key: "address", value: p.variable(e, "ADDRESS", "127.0.0.1:6661")}}, s.framing...)
		if s.framing == nil {
			e.options = append(e.options, entry{key: "framing", value: open})
		}
	default:
		e.options = []entry{{key: "base", value: p.variable(e, "URL", "http://127.0.0.1:8080")}}
		if s.format == "xml" {
			e.option("content_type", "application/xml", "guess")
		}
	}
	return e
}

// call is what an operation writes under call for such a message.
func (s *seen) call() string {
	switch {
	case s.soap != "":
		return s.method
	case s.http != nil && s.http.method != "":
		return s.http.method + " " + s.http.path
	case s.format == "hl7v2":
		return s.hl7Type()
	case s.bare:
		return s.stem
	}
	return ""
}
