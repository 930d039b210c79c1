package draft

import (
	"slices"
)

// hospital writes hospital.yaml.
func (p *plan) hospital() string {
	all := []entry{
		{key: "grammar", value: "1", above: "Drafted from what the hospital gave. \"# guess\" is to be verified against its documents, TODO to be filled in;\n" + "hishub hospital check lists every TODO with its place."},
		{key: "hospital", value: literal(p.ID, false)},
		{key: "name", value: literal(p.Name, false)},
	}
	connectors, envelopes, sessions := entry{key: "connectors"}, entry{key: "envelopes"}, entry{key: "sessions"}
	for _, e := range p.entrances {
		connectors.under = append(connectors.under, entry{key: e.name, under: []entry{{key: e.kind, under: e.options}}})
		envelopes.under = append(envelopes.under, p.envelopes(e)...)
		sessions.under = append(sessions.under, p.session(e)...)
	}
	if len(p.constants) > 0 {
		all = append(all, entry{key: "constants", under: p.constants})
	}
	if len(p.secrets) > 0 {
		all = append(all, entry{key: "secrets", under: p.secrets})
	}
	all = append(all, connectors)
	if len(p.formats) > 0 {
		all = append(all, entry{key: "formats", under: p.formats})
	}
	all = append(all, envelopes)
	if len(sessions.under) > 0 {
		all = append(all, sessions)
	}
	return separated(all)
}

// envelopes are those of an entrance: of its operations, of those without a body,
// of its login.
func (p *plan) envelopes(e *entrance) []entry {
	of := func(name string, write []entry, rules []entry) entry {
		out := entry{key: name}
		if e.name != "default" {
			out.under = append(out.under, entry{key: "using", value: e.name})
		}
		if len(write) > 0 {
			out.under = append(out.under, entry{key: "write", under: write})
		}
		if e.answer != "" {
			out.under = append(out.under, entry{key: "read", under: []entry{{key: "answer", value: e.cell(), note: e.ask}}})
		}
		out.under = append(out.under, entry{key: "outcome", under: rules})
		return out
	}
	write := e.write
	if e.lone != "" && write == nil {
		write = []entry{{key: "send", under: []entry{{key: keyOf(e.lone), value: open, note: "one text for all methods: give --sample, or write how the document is wrapped, as {$cdata: {$xml: {Request: = body}}}"}}}}
	}
	if e.lone != "" && e.answer == "" {
		e.answer, e.ask = open, "how the result is read, as = from_xml(body).Response"
	}
	var headers []entry
	if len(e.headers) > 0 {
		headers = []entry{{key: "headers", under: e.headers}}
	}
	out := []entry{of(e.name, append(slices.Clone(headers), write...), e.rules)}
	if used := e.uses("bare"); used != "" {
		out = append(out, of(used, headers, e.rules))
	}
	if used := e.uses("login"); used != "" {
		out = append(out, of(used, write, e.rules))
	}
	if used := e.uses("insert"); used != "" {
		out = append(out, of(used, nil, append([]entry{{key: "already", value: `wire.error == "duplicate"`, note: "guess: the table has a unique key over our number"}}, e.rules...)))
	}
	return out
}

// uses gives the name of an envelope of that sort, "" where no operation is in it.
func (e *entrance) uses(sort string) string {
	for _, o := range e.offers {
		if o.envelope == e.sort(sort) && (o.kind != "" || o.Login) {
			return o.envelope
		}
	}
	return ""
}

func (e *entrance) sort(sort string) string {
	if e.name == "default" {
		return sort
	}
	return e.name + "_" + sort
}

func (e *entrance) cell() string {
	if e.answer == open {
		return open
	}
	return cellOf(e.answer)
}

// session logs in, where an operation looks like it.
func (p *plan) session(e *entrance) []entry {
	for _, o := range e.offers {
		if !o.Login {
			continue
		}
		s := &speaker{plan: p, found: map[string]value{}}
		login := []entry{{key: "envelope", value: o.envelope}, {key: "call", value: literal(o.Call, false)}}
		if len(o.Send) > 0 {
			login = append(login, entry{key: "send", under: s.fields(o.Send, "message", nil, "")})
		}
		token := entry{key: "token", value: open, note: "as = answer.token"}
		for _, f := range placesOf(o.Answer, "answer", 0) {
			if oneOf(f.Name, words("token accesstoken access_token idtoken jwt ticket sessionid")) && f.leaf() {
				token.value, token.note = cellOf(f.at), "guess"
				break
			}
		}
		login = append(login, entry{key: "capture", under: []entry{token}})
		name := "main"
		if e.name != "default" {
			name = e.name
		}
		return []entry{{key: name, note: "guess: " + o.Call + " looks like a login", under: []entry{{key: "login", under: login}}}}
	}
	return nil
}
