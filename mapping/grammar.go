package mapping

import (
	"strings"
	"time"

	"hishub/core"
)

// The grammar as tables. The loader refuses what is not in them and the JSON
// Schema for editors is printed from them, so neither can say what the other
// does not.

// shape is what may stand under a key.
type shape struct {
	kind  shapeKind
	words []string // the only texts, if any
	of    *shape   // of a map's or list's entries
	table *table   // of a section
}

type shapeKind int

const (
	textShape     shapeKind = iota // a scalar that is not evaluated
	cellShape                      // a scalar: literal, or "= expression"
	condShape                      // an expression without "="
	ruleShape                      // a condition, or false
	valueShape                     // a document
	durationShape                  // 30s, 2h
	flagShape                      // true or false
	numberShape                    // a whole number above 0
	mapShape                       // any names
	listShape
	sectionShape
	optionsShape // one name with a map of options
	inquireShape // a text, or a section
	accountShape // one kind with a map of options, or ask with the name of a question
)

type key struct {
	name     string
	shape    shape
	required bool
	doc      string
}

type table struct {
	name string
	keys []key
}

func (t *table) names() []string {
	names := make([]string, len(t.keys))
	for i, k := range t.keys {
		names[i] = k.name
	}
	return names
}

func (t *table) find(name string) *key {
	for i := range t.keys {
		if t.keys[i].name == name {
			return &t.keys[i]
		}
	}
	return nil
}

var (
	text     = shape{kind: textShape}
	cell     = shape{kind: cellShape}
	cond     = shape{kind: condShape}
	rule     = shape{kind: ruleShape}
	value    = shape{kind: valueShape}
	duration = shape{kind: durationShape}
	truth    = shape{kind: flagShape}
	number   = shape{kind: numberShape}
	options  = shape{kind: optionsShape}
	account  = shape{kind: accountShape}
)

func mapOf(s shape) shape         { return shape{kind: mapShape, of: &s} }
func listOf(s shape) shape        { return shape{kind: listShape, of: &s} }
func section(t *table) shape      { return shape{kind: sectionShape, table: t} }
func oneOf(words ...string) shape { return shape{kind: textShape, words: words} }

var limitsTable = &table{"limits", []key{
	{name: "concurrency", shape: number, doc: "exchanges in flight at once (4)"},
	{name: "rate", shape: text, doc: `exchanges per time, "20/s" or "600/m" (20/s)`},
}}

var writeTable = &table{"write", []key{
	{name: "let", shape: mapOf(value), doc: "named values; each sees body, call, with and the names before it"},
	{name: "call", shape: cell, doc: "what to invoke on the wire (= call)"},
	{name: "status", shape: cell, doc: "listeners of kind rest: the HTTP status of the answer (200)"},
	{name: "headers", shape: value, doc: "headers of the request (REST, SOAP)"},
	{name: "query", shape: value, doc: "query of the request (REST)"},
	{name: "send", shape: value, doc: "what the connector carries (= body)"},
}}

var readTable = &table{"read", []key{
	{name: "let", shape: mapOf(value), doc: "named values; each sees body, wire and the names before it"},
	{name: "answer", shape: cell, doc: "the tree called answer (= body)"},
	{name: "call", shape: cell, doc: "listeners: which of the calls this is (= wire.call)"},
}}

// rules in the order in which they are judged, whatever order they are written in.
var rules = []struct {
	name    string
	outcome core.Outcome
	doc     string
}{
	{"verify", core.OutcomeInDoubt, "must hold (a signature, or that this is the answer to our message); if it does not: in doubt"},
	{"expired", core.OutcomeExpired, "the session has expired: log in again and repeat once"},
	{"unknown", core.OutcomeInDoubt, "in doubt, although the HIS answered"},
	{"busy", core.OutcomeBusy, "understood but not done: try later"},
	{"running", core.OutcomeRunning, "accepted, the verdict comes later"},
	{"no_data", core.OutcomeNoData, "the empty answer to a question"},
	{"already", core.OutcomeAlready, "was done before"},
	{"ok", core.OutcomeOK, "done"},
	{"refund_now", core.OutcomeRefundNow, "refused for good, and the money goes back without a person"},
	{"rejected", core.OutcomeRejected, "refused"},
}

var outcomeTable = func() *table {
	t := &table{name: "outcome"}
	for _, r := range rules {
		t.keys = append(t.keys, key{name: r.name, shape: rule, doc: r.doc})
	}
	t.keys = append(t.keys,
		key{name: "message", shape: cell, doc: "the HIS's words"},
		key{name: "show_patient", shape: cond, doc: "whether those words may be shown to the patient"},
	)
	return t
}()

var envelopeTable = &table{"envelope", []key{
	{name: "using", shape: text, doc: "the connector (default)"},
	{name: "session", shape: text, doc: "the session, where the folder has several"},
	{name: "write", shape: section(writeTable), doc: "from body to the wire"},
	{name: "read", shape: section(readTable), doc: "from the wire to answer"},
	{name: "outcome", shape: section(outcomeTable), doc: "rules of all operations"},
	{name: "reply", shape: value, doc: "listeners: what body is in the answer to a request that is none of the calls"},
}}

var pageTable = &table{"page", []key{
	{name: "first", shape: cell, required: true, doc: "the mark of the first page"},
	{name: "next", shape: cell, required: true, doc: "the mark of the next page; nil ends"},
	{name: "max", shape: number, doc: "most pages (500)"},
}}

var inquireTable = &table{"inquire", []key{
	{name: "ask", shape: text, required: true, doc: "a question of this folder that returns state"},
	{name: "every", shape: duration, doc: "time between two questions (30s)"},
	{name: "for", shape: duration, doc: "how long to go on before a person must look (2h)"},
}}

// callKeys are what every exchange can say.
var callKeys = []key{
	{name: "using", shape: text, doc: "the connector (the envelope's, else default)"},
	{name: "envelope", shape: text, doc: "the envelope (default)"},
	{name: "session", shape: text, doc: "the session, where the folder has several"},
	{name: "call", shape: cell, doc: "the dialect's name for it: method, trade code, POST /path, procedure, statement"},
	{name: "with", shape: mapOf(cell), doc: "further parameters for the envelope, as with.x"},
	{name: "headers", shape: value, doc: "added to the envelope's"},
	{name: "query", shape: value, doc: "added to the envelope's"},
	{name: "let", shape: mapOf(value), doc: "named values, visible in all that follows"},
	{name: "send", shape: value, doc: "the document, body in the envelope"},
	{name: "read", shape: section(readTable), doc: "a further unwrapping after the envelope's"},
	{name: "outcome", shape: section(outcomeTable), doc: "rules; each replaces the envelope's of the same name"},
	{name: "capture", shape: mapOf(cell), doc: "texts kept with the delivery, visible as captured.x later"},
	{name: "returns", shape: value, doc: "the canonical answer"},
}

var partTable = &table{"part", []key{
	{name: "$each", shape: text, required: true, doc: "x in LIST: the lines of the answer"},
	{name: "key", shape: cell, required: true, doc: "which one it is, for people: the number of the bill"},
	{name: "outcome", shape: section(partOutcomeTable), required: true, doc: "what became of it; in doubt when no rule holds"},
	{name: "message", shape: cell, doc: "the HIS's words about it"},
}}

var partOutcomeTable = &table{"part_outcome", []key{
	{name: "ok", shape: cond, required: true, doc: "it was done"},
	{name: "rejected", shape: cond, doc: "it was refused"},
}}

var partsKey = key{name: "parts", shape: listOf(section(partTable)), doc: "a verdict for each line of an answer that is ok"}

var undoTable = &table{"undo", append(append([]key{}, callKeys...),
	key{name: "inquire", shape: shape{kind: inquireShape, table: inquireTable}, doc: "the question to ask when in doubt"},
	key{name: "repeat_safe", shape: truth, doc: "may be sent again in doubt without asking"},
)}

var stepTable = &table{"step", append(append([]key{
	{name: "name", shape: text, required: true, doc: "the step's name"},
	{name: "when", shape: cond, doc: "the step is skipped unless this holds"},
	partsKey,
}, undoTable.keys...),
	key{name: "expires", shape: duration, doc: "how long what the step captured is good for"},
	key{name: "undo", shape: section(undoTable), doc: "takes the finished step back"},
)}

var operationTable = &table{"operation", append(append([]key{}, undoTable.keys...),
	partsKey,
	key{name: "page", shape: section(pageTable), doc: "more pages of the answer"},
	key{name: "settle_after", shape: duration, doc: "how long after the last byte absent is believed (the connector's timeout; money: at least 60s)"},
	key{name: "when_parked", shape: oneOf("block", "pass"), doc: "whether a parked one holds its lane (block)"},
	key{name: "any_hour", shape: truth, doc: "it is told, or asked, outside the working hours, too (false)"},
	key{name: "steps", shape: listOf(section(stepTable)), doc: "several exchanges, instead of send"},
	key{name: "takes", shape: value, doc: "inbound: the canonical message"},
	key{name: "reply", shape: value, doc: "inbound: the document that answers, body in the envelope"},
)}

var loginTable = &table{"login", callKeys}

var sessionTable = &table{"session", []key{
	{name: "login", shape: section(loginTable), required: true, doc: "logs in; what it captures is session.x"},
	{name: "refresh", shape: section(loginTable), doc: "tried before login when the session has expired"},
	{name: "expires", shape: cell, doc: "a time: until when the session is good"},
	{name: "early", shape: duration, doc: "renew so long before (1m)"},
}}

var listenerTable = &table{"listener", []key{
	{name: "soap", shape: value, doc: "SOAP 1.1 with its WSDL; options"},
	{name: "rest", shape: value, doc: "HTTP; options"},
	{name: "tcp", shape: value, doc: "a port of its own, framed by a length, an end or MLLP; options"},
	{name: "table", shape: value, doc: "rows that the HIS leaves in a table of a database; options"},
	{name: "envelope", shape: text, doc: "the envelope of its operations (default)"},
}}

// channelsTable has a key for every way of paying.
var channelsTable = func() *table {
	t := &table{name: "channels"}
	for _, c := range core.Channel("").Values() {
		t.keys = append(t.keys, key{name: c, shape: account, doc: "the account at the payment channel: kind and options; or ask: a question to the HIS"})
	}
	return t
}()

var transitTable = &table{"in_transit", []key{
	{name: "payment", shape: duration, doc: "how long a payment may be on its way to the HIS (24h)"},
	{name: "refund", shape: duration, doc: "how long the channel may take to pay a refund (168h)"},
}}

var reconcileTable = &table{"reconcile", []key{
	{name: "at", shape: text, doc: `when the day before is compared: minute, hour, day, month, weekday ("30 10 * * *")`},
	{name: "cut", shape: text, doc: `when a business day ends, "HH:mm" ("00:00")`},
	{name: "margin", shape: duration, doc: "how far around the cut both sides may date an entry differently (10m)"},
	{name: "in_transit", shape: section(transitTable), doc: "how long something on its way is no difference"},
	{name: "his_clock", shape: truth, doc: "the HIS dates its ledger by its own clock, not by our payment time (false)"},
	{name: "operators", shape: listOf(text), doc: "our accounts at the HIS, for one that gives its ledger by them"},
	{name: "channels", shape: listOf(text), doc: "ways of paying, for a HIS that gives its ledger by them"},
	{name: "four_eyes_from", shape: text, doc: "yuan: from this amount on a repair takes a second person (0.00)"},
	{name: "full_every", shape: number, doc: "every so-manieth night asks for each entry also where totals agree; 1 is always (7)"},
	{name: "states", shape: truth, doc: "prescriptions and orders are compared, too (true)"},
	{name: "exclude", shape: listOf(cond), doc: "conditions over entry and party: what is left out"},
}}

var hospitalTable = &table{"hospital", []key{
	{name: "grammar", shape: oneOf("1"), required: true, doc: "version of this grammar"},
	{name: "hospital", shape: text, required: true, doc: "id: lower-case letters, digits and -"},
	{name: "name", shape: text, required: true, doc: "name for people"},
	{name: "timezone", shape: text, doc: "zone of every time without an offset (Asia/Shanghai)"},
	{name: "constants", shape: mapOf(text), doc: "const.x"},
	{name: "secrets", shape: mapOf(secretShape), doc: `secret.x, each "${ENV}", or now and before while it changes; masked everywhere`},
	{name: "connectors", shape: mapOf(options), required: true, doc: "entrances of the HIS: name, kind and options"},
	{name: "envelopes", shape: mapOf(section(envelopeTable)), doc: "what operations share"},
	{name: "fragments", shape: mapOf(value), doc: "documents that operations have in common: {$use: name} puts one in"},
	{name: "formats", shape: mapOf(options), doc: "formats with options: $name: writes, from_name() reads"},
	{name: "sessions", shape: mapOf(section(sessionTable)), doc: "logins"},
	{name: "listeners", shape: mapOf(section(listenerTable)), doc: "where the HIS calls us"},
	{name: "limits", shape: section(limitsTable), doc: "for the whole hospital"},
	{name: "maintenance", shape: listOf(text), doc: `daily windows "HH:mm-HH:mm" in which deliveries wait`},
	{name: "working_hours", shape: listOf(text), doc: `when the HIS may be called, "Mon-Sat 07:00-18:30"; outside of them deliveries wait (always)`},
	{name: "channels", shape: section(channelsTable), doc: "the hospital's accounts at payment channels: where bills come from and refunds go"},
	{name: "reconcile", shape: section(reconcileTable), doc: "how its days are compared at night"},
}}

// mapped reports whether a hospital folder says how the transaction is told to
// the HIS: what goes to a payment channel or only into our ledger, no HIS hears of.
func mapped(t core.Transaction) bool { return t.Mode != core.Record && t.Mode != core.ToChannel }

// isGrammarKey tells the words of this grammar from those of a HIS.
func isGrammarKey(name string) bool {
	for _, t := range []*table{hospitalTable, operationTable, stepTable, envelopeTable, writeTable, readTable, outcomeTable, sessionTable, inquireTable, pageTable, limitsTable, listenerTable, channelsTable, transitTable, reconcileTable} {
		if t.find(name) != nil {
			return true
		}
	}
	t, ok := core.Lookup(core.Kind(name))
	return ok && mapped(t) || strings.HasPrefix(name, "$")
}

// section reads a map by its table: it reports what does not belong there or is
// missing, and returns what can be used.
func (f *findings) section(n *node, t *table) map[string]*node {
	if n.kind != mapNode {
		f.mistake(n.pos, "its keys are "+strings.Join(t.names(), ", "), "%s must be a map, not %s", t.name, n.describe())
		return nil
	}
	used := map[string]*node{}
	for _, e := range n.fields {
		k := t.find(e.key.text)
		switch {
		case k == nil:
			f.mistake(e.key.pos, didYouMean(e.key.text, t.names()), "%s has no key %q", t.name, e.key.text)
		case f.fits(e.key.text, e.value, k.shape):
			used[k.name] = e.value
		}
	}
	for _, k := range t.keys {
		if k.required && n.get(k.name) == nil && !n.broken {
			f.mistake(n.pos, k.doc, "%s needs the key %q", t.name, k.name)
		}
	}
	return used
}

// fits checks the form of a value; what is inside of cells and documents is
// checked where they are compiled.
func (f *findings) fits(name string, n *node, s shape) bool {
	wrong := func(want string) bool {
		f.mistake(n.pos, "", "%s must be %s, not %s", name, want, n.describe())
		return false
	}
	if n.broken && n.kind == scalarNode {
		return false
	}
	scalar := n.kind == scalarNode && !n.isEmpty()
	switch s.kind {
	case textShape:
		if !scalar {
			return wrong("text")
		}
		for _, w := range s.words {
			if n.text == w {
				return true
			}
		}
		if len(s.words) > 0 {
			f.mistake(n.pos, "write "+strings.Join(s.words, " or "), "%s cannot be %q", name, n.text)
			return false
		}
	case cellShape:
		if n.kind != scalarNode {
			return wrong("one cell")
		}
	case condShape, ruleShape:
		if !scalar {
			return wrong("a condition")
		}
	case durationShape:
		if d, err := time.ParseDuration(n.text); !scalar || err != nil || d < 0 {
			f.mistake(n.pos, "write 30s, 15m or 2h", "%s must be a duration, not %q", name, n.text)
			return false
		}
	case flagShape:
		if !scalar || n.text != "true" && n.text != "false" {
			return wrong("true or false")
		}
	case numberShape:
		if !scalar || !wholeNumber(n.text) {
			return wrong("a whole number above 0")
		}
	case mapShape:
		if n.kind != mapNode {
			return wrong("a map")
		}
		ok := true
		for _, e := range n.fields {
			ok = f.fits(name+"."+e.key.text, e.value, *s.of) && ok
		}
		return ok
	case listShape:
		if n.kind != listNode {
			return wrong("a list")
		}
		ok := true
		for _, item := range n.items {
			ok = f.fits(name, item, *s.of) && ok
		}
		return ok
	case sectionShape:
		if n.kind != mapNode {
			return wrong("a map")
		}
	case optionsShape:
		if n.kind != mapNode || len(n.fields) != 1 {
			return wrong("one kind with its options, as {kind: {...}}")
		}
		if v := n.fields[0].value; v.kind != mapNode && !v.isEmpty() {
			return wrong("one kind with its options, as {kind: {...}}")
		}
	case accountShape:
		if n.kind != mapNode || len(n.fields) != 1 {
			return wrong("one kind with its options, as {kind: {...}}")
		}
		switch f := n.fields[0]; {
		case f.key.text == "ask":
			return f.value.kind == scalarNode && !f.value.isEmpty() || wrong("{ask: the name of a question}")
		case f.value.kind != mapNode && !f.value.isEmpty():
			return wrong("one kind with its options, as {kind: {...}}")
		}
	case inquireShape:
		if !scalar && n.kind != mapNode {
			return wrong("text, or a map of " + strings.Join(s.table.names(), ", "))
		}
	}
	return true
}

func wholeNumber(s string) bool {
	if len(s) == 0 || len(s) > 9 || s[0] == '0' {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// durationOf reads a duration that was checked before; def where there is none.
func durationOf(n *node, def time.Duration) time.Duration {
	if n == nil {
		return def
	}
	d, _ := time.ParseDuration(n.text)
	return d
}
