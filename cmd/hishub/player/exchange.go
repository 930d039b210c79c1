package player

import (
	"slices"
	"time"

	"hishub/core"
	"hishub/mapping"
)

// Exchange is a request as the player heard it, and its answer. Secrets are masked;
// the rest is what hospital IT would receive.
type Exchange struct {
	No        int       `json:"no"`
	At        time.Time `json:"at"`
	Hospital  string    `json:"hospital"`
	Connector string    `json:"connector"`
	// Call is the transport's word for what is asked: "POST /path", a SOAP operation.
	Call string `json:"call,omitempty"`
	// Name is what was recognised: "payment.settle pre". Kind is "" of a login.
	Name     string            `json:"name,omitempty"`
	Kind     core.Kind         `json:"kind,omitempty"`
	Key      string            `json:"key,omitempty"`
	Request  string            `json:"request"`
	Fields   map[string]string `json:"fields,omitempty"`
	Weak     []string          `json:"weak,omitempty"` // of fields that lost something on the way
	Unread   []string          `json:"unread,omitempty"`
	Verified []string          `json:"verified,omitempty"`
	Forged   []string          `json:"forged,omitempty"`
	// Answer as text, the case that it was made of, what it was to mean, and what the
	// folder's own rules make of it.
	Answer  string       `json:"answer,omitempty"`
	Case    string       `json:"case,omitempty"`
	Meant   string       `json:"meant,omitempty"`
	Outcome core.Outcome `json:"outcome,omitempty"`
	Words   string       `json:"words,omitempty"`
	Fault   string       `json:"fault,omitempty"`
	Trouble []string     `json:"trouble,omitempty"`

	verdict core.Verdict
}

func (p *Player) begin(connector, call string) Exchange {
	return Exchange{At: time.Now(), Hospital: p.folder.Dialect.Hospital, Connector: connector, Call: call}
}

// heard writes down what was recognised.
func (p *Player) heard(x *Exchange, e *entrance, h *mapping.Heard) {
	x.Connector, x.Name, x.Kind, x.Key = e.name, h.Name(), h.Kind, h.Key
	x.Fields = map[string]string{}
	for path, v := range h.Fields {
		x.Fields[path] = p.redacted(v)
		if h.Weak[path] {
			x.Weak = append(x.Weak, path)
		}
	}
	slices.Sort(x.Weak)
	x.Unread, x.Verified, x.Forged = h.Unread, h.Verified, h.Forged
	for _, at := range h.Forged {
		x.Trouble = append(x.Trouble, at+": what came is not what your folder computes from the rest of the request")
	}
	for _, other := range h.Others {
		x.Trouble = append(x.Trouble, "it could as well be "+other+": nothing in the request tells them apart")
	}
}

// told writes down the answer.
func (p *Player) told(x *Exchange, e *entrance, out outgoing) {
	text, err := e.text.Decode(out.body)
	if err != nil {
		text = e.text.Legible(out.body)
	}
	x.Answer, x.Words = p.redacted(text), p.redacted(x.Words)
	p.record(*x)
}

// names are what a rule of the fault script may call a request.
func (p *Player) names(h *mapping.Heard, call string) []string {
	names := []string{h.Name(), string(h.Kind), h.Transport()}
	if h.Step != "" {
		names = append(names, h.Step)
	}
	if call != "" {
		names = append(names, call)
	}
	return names
}

// ruleFor is the one of its names that a rule uses.
func (p *Player) ruleFor(h *mapping.Heard, call string) string {
	names := p.names(h, call)
	for _, r := range p.script.Rules() {
		if r.Operation != "" && slices.Contains(names, r.Operation) {
			return r.Operation
		}
	}
	return string(h.Kind)
}
