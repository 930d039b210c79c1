package main

import (
	"encoding/json"
	"slices"
	"strings"

	"hishub/core"
	"hishub/mapping"
)

// tried is all that a try shows; secrets are masked in it, people are not.
type tried struct {
	Hospital string    `json:"hospital"`
	Kind     core.Kind `json:"kind"`
	// Message is canonical; of what comes from the HIS what was taken, if anything.
	Message   json.RawMessage  `json:"message,omitempty"`
	Exchanges []*triedExchange `json:"exchanges,omitempty"`
	Inbound   *triedInbound    `json:"inbound,omitempty"`
	// Step is the one that --send sent, of a transaction in several.
	Step *triedStep `json:"step,omitempty"`
}

// triedExchange is one exchange, in the order in which it comes about.
type triedExchange struct {
	Name      string `json:"name"`
	Operation string `json:"operation,omitempty"`
	Connector string `json:"connector"`
	Transport string `json:"transport"`
	// Exchanges is how many there were with a session renewed or further pages; the
	// last is shown.
	Exchanges     int          `json:"exchanges,omitempty"`
	SessionMadeUp bool         `json:"session_made_up,omitempty"`
	Document      *triedValue  `json:"document,omitempty"`
	Values        []triedValue `json:"values,omitempty"`
	Headers       []triedValue `json:"headers,omitempty"`
	Query         []triedValue `json:"query,omitempty"`
	Send          *triedValue  `json:"send,omitempty"`
	Wire          *triedBytes  `json:"wire,omitempty"`
	// Sent is what was sent, where it is not what Wire ends with.
	Sent       *triedBytes  `json:"sent,omitempty"`
	Answer     *triedBytes  `json:"answer,omitempty"`
	Read       []triedValue `json:"read,omitempty"`
	AnswerTree *triedValue  `json:"answer_tree,omitempty"`
	Rules      []triedRule  `json:"rules,omitempty"`
	Verdict    *triedAnswer `json:"verdict,omitempty"`
	// Player is what the player of --mock has to say of the exchange.
	Player []string `json:"player,omitempty"`
	// Defaults are the codes for which a code table's default stood in.
	Defaults []string `json:"defaults,omitempty"`
	// Error says why it cannot be said.
	Error string `json:"error,omitempty"`

	view view
	hex  bool
}

// triedValue is a named value: text as it stands, bytes as hex, a tree as YAML.
type triedValue struct {
	Layer string `json:"layer,omitempty"`
	Name  string `json:"name,omitempty"`
	Kind  string `json:"kind"`
	Text  string `json:"text"`
	Error string `json:"error,omitempty"`
}

// triedBytes are exact bytes, but for secrets, and how they read.
type triedBytes struct {
	Charset string `json:"charset"`
	Bytes   int    `json:"bytes"`
	Text    string `json:"text"`
	// Base64 are the bytes; secrets are stars of the same number.
	Base64 []byte `json:"base64"`

	hex string
}

// triedRule says holds, "does not hold", failed or "not asked".
type triedRule struct {
	Rule    string       `json:"rule"`
	Outcome core.Outcome `json:"outcome,omitempty"`
	What    string       `json:"what"`
	Decided bool         `json:"decided,omitempty"`
	Why     string       `json:"why,omitempty"`
}

type triedAnswer struct {
	Outcome     core.Outcome      `json:"outcome"`
	Rule        string            `json:"rule,omitempty"`
	Words       string            `json:"words,omitempty"`
	ShowPatient bool              `json:"show_patient,omitempty"`
	Captured    map[string]string `json:"captured,omitempty"`
	Returns     any               `json:"returns,omitempty"`
	Parts       []core.Part       `json:"parts,omitempty"`
	Next        *string           `json:"next_page,omitempty"`
	Forgiven    []string          `json:"forgiven,omitempty"`
	Because     string            `json:"because,omitempty"`
}

func (t *trial) newShown(call *core.Call, spec core.ConnectorSpec) *triedExchange {
	name, _ := spec.Options["charset"].(string)
	return &triedExchange{Name: call.Name, Connector: spec.Name, Transport: spec.Kind, hex: t.Hex, view: t.viewIn(name)}
}

// viewIn reads bytes in a charset of the folder, which was checked when it was loaded.
func (t *trial) viewIn(name string) view {
	return view{charset: charsetNamed(name), secrets: t.folder.Dialect.Secrets}
}

func (x *triedExchange) bytes(b []byte) *triedBytes { return x.view.show(b, x.hex) }

func (v view) show(b []byte, hex bool) *triedBytes {
	out := &triedBytes{Charset: v.charset.Name(), Bytes: len(b), Text: v.text(b), Base64: v.masked(b, true)}
	if hex {
		out.hex = v.hex(b)
	}
	return out
}

// asked shows how the request came about.
func (x *triedExchange) asked(e mapping.Explained) {
	x.Operation = x.view.maskText(e.Request.Operation)
	x.defaulted(e.Request.Codes)
	if body, ok := e.Body(); ok {
		x.Document = x.view.value(mapping.Computed{Value: body})
	}
	x.Values = x.view.values(e.Values, func(c mapping.Computed) bool {
		return c.Layer != mapping.LayerOperation || c.Name != "body" && c.Name != "call"
	})
	for _, f := range e.Request.Headers {
		x.Headers = append(x.Headers, *x.view.value(mapping.Computed{Name: f.Name, Value: f.Value}))
	}
	for _, f := range e.Request.Query {
		x.Query = append(x.Query, *x.view.value(mapping.Computed{Name: f.Name, Value: f.Value}))
	}
	if e.Err == nil {
		x.Send = x.view.value(mapping.Computed{Value: e.Request.Body})
	} else {
		x.Error = e.Err.Error()
	}
}

// judged shows how the answer was read and judged. What the request was made of
// is not shown again.
func (x *triedExchange) judged(e mapping.ExplainedAnswer, asked mapping.Explained) {
	x.Read = x.view.values(e.Values, func(c mapping.Computed) bool {
		if c.Layer == mapping.LayerRead || c.Layer == mapping.LayerInner {
			return c.Name != "body" && c.Name != "answer"
		}
		return !slices.ContainsFunc(asked.Values, func(o mapping.Computed) bool { return o.Layer == c.Layer && o.Name == c.Name })
	})
	if answer, ok := e.Answer(); ok {
		x.AnswerTree = x.view.value(mapping.Computed{Value: answer})
	}
	v := e.Verdict
	x.defaulted(v.Codes)
	x.Rules = x.view.rules(e.Rules, v.Rule)
	x.Verdict = &triedAnswer{
		Outcome: v.Outcome, Rule: v.Rule, Words: x.view.maskText(v.Words), ShowPatient: v.ShowPatient, Returns: v.Answer,
		Parts: v.Parts, Next: v.Next, Forgiven: v.Forgave,
	}
	for name, value := range v.Captured {
		if x.Verdict.Captured == nil {
			x.Verdict.Captured = map[string]string{}
		}
		x.Verdict.Captured[name] = x.view.maskText(value)
	}
	if v.Err != nil {
		x.Verdict.Because = x.view.maskText(v.Err.Error())
	}
}

func (x *triedExchange) defaulted(uses []core.CodeUse) {
	for _, u := range uses {
		if note := u.String(); !slices.Contains(x.Defaults, note) {
			x.Defaults = append(x.Defaults, note)
		}
	}
}

func (v view) rules(all []mapping.Ruled, decided string) []triedRule {
	out := make([]triedRule, 0, len(all))
	for _, r := range all {
		shown := triedRule{Rule: r.Name, Outcome: r.Outcome, What: "does not hold", Decided: decided == r.Name}
		switch {
		case !r.Asked:
			shown.What = "not asked"
		case r.Err != nil:
			shown.What, shown.Why = "failed", v.maskText(r.Err.Error())
		case r.Holds:
			shown.What = "holds"
		}
		out = append(out, shown)
	}
	return out
}

// values are those that show is true of; what with, const and secret give shows
// where it is used.
func (v view) values(all []mapping.Computed, show func(mapping.Computed) bool) []triedValue {
	var out []triedValue
	for _, c := range all {
		if c.Layer == mapping.LayerGiven && (strings.HasPrefix(c.Name, "with.") || strings.HasPrefix(c.Name, "secret.")) || !show(c) {
			continue
		}
		out = append(out, *v.value(c))
	}
	slices.SortStableFunc(out, func(a, b triedValue) int { return slices.Index(layers, a.Layer) - slices.Index(layers, b.Layer) })
	return out
}

// layers in the order in which people think of them.
var layers = []string{mapping.LayerGiven, mapping.LayerOperation, mapping.LayerWrite, mapping.LayerRead, mapping.LayerInner}

func (v view) value(c mapping.Computed) *triedValue {
	kind, text := mapping.Spell(c.Value)
	out := &triedValue{Layer: c.Layer, Name: c.Name, Kind: kind, Text: v.maskText(text)}
	if c.Err != nil {
		out.Error = v.maskText(c.Err.Error())
	}
	return out
}
