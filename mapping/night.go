package mapping

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/robfig/cron/v3"

	"hishub/core"
)

// fiveFields is the cron that nights are written in; names like @daily are not
// in it, because they hide the hour that somebody must know.
var fiveFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// readReconcile reads how the hospital's days are compared.
func (l *loader) readReconcile(d *core.Dialect) {
	d.Night = core.DefaultNight()
	n := l.hospital["reconcile"]
	if n == nil {
		return
	}
	s, night := l.section(n, reconcileTable), &d.Night
	if at := s["at"]; at != nil {
		night.At = l.cronOf(at)
	}
	if cut := s["cut"]; cut != nil {
		t, err := time.Parse("15:04", cut.text)
		if err != nil {
			l.mistake(cut.pos, `write "17:00", or "00:00" for midnight`, "%q is not a time of the day", cut.text)
		}
		night.Cut = t.Hour()*60 + t.Minute()
	}
	night.Margin = durationOf(s["margin"], night.Margin)
	if night.Margin > 12*time.Hour {
		l.mistake(s["margin"].pos, "write 10m", "a margin of more than half a day leaves no day to compare")
	}
	if t := s["in_transit"]; t != nil {
		transit := l.section(t, transitTable)
		night.PaymentTransit = durationOf(transit["payment"], night.PaymentTransit)
		night.RefundTransit = durationOf(transit["refund"], night.RefundTransit)
	}
	night.HISClock = isTrue(s["his_clock"])
	if states := s["states"]; states != nil {
		night.States = isTrue(states)
	}
	if full := s["full_every"]; full != nil {
		_, _ = fmt.Sscanf(full.text, "%d", &night.FullEvery)
	}
	if from := s["four_eyes_from"]; from != nil {
		amount, err := core.ParseYuan(from.text)
		if err != nil || amount < 0 {
			l.mistake(from.pos, "write yuan with two decimals, 100.00", "%q is not an amount", from.text)
		}
		night.FourEyesFrom = amount
	}
	l.askedBy(s, night)
	if exclude := s["exclude"]; exclude != nil {
		night.Excluded = l.exclusions(exclude)
	}
}

// cronOf is a cron expression that comes round.
func (l *loader) cronOf(n *node) string {
	cure := `write minute, hour, day, month and weekday: "30 10 * * *" is every day at 10:30`
	if strings.Contains(n.text, "TZ=") {
		l.mistake(n.pos, "leave it out; the hospital's timezone holds", "a zone does not belong into %q", n.text)
		return n.text
	}
	schedule, err := fiveFields.Parse(n.text)
	switch {
	case err != nil:
		l.mistake(n.pos, cure, "%q is not a time of the night: %v", n.text, err)
	case schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero():
		l.mistake(n.pos, cure, "%q never comes", n.text)
	}
	return n.text
}

// askedBy reads what the HIS's ledger is asked by. Asking for several while the
// question does not say which would give every entry several times.
func (l *loader) askedBy(s map[string]*node, night *core.NightRules) {
	if n := s["operators"]; n != nil {
		for _, o := range n.items {
			night.Operators = append(night.Operators, l.expand(o))
		}
		l.mustTell(n, "operators", "ledger.operator")
	}
	if n := s["channels"]; n != nil {
		ways := core.Channel("").Values()
		for _, c := range n.items {
			if !slices.Contains(ways, c.text) {
				l.mistake(c.pos, didYouMean(c.text, ways), "%q is no way of paying", c.text)
			}
			night.Channels = append(night.Channels, core.Channel(c.text))
		}
		l.mustTell(n, "channels", "ledger.channel")
	}
}

// mustTell checks that the questions about the ledger say for what they ask.
func (l *loader) mustTell(n *node, key, name string) {
	if len(n.items) < 2 {
		return
	}
	for _, kind := range []core.Kind{core.LedgerDetail, core.LedgerTotal} {
		o := l.operations[kind]
		if o == nil {
			continue
		}
		said := mentions(o.keys, name)
		if e := l.envelopes[o.envelopeName()]; e != nil {
			said = said || mentions(e.write, name)
		}
		if !said {
			l.mistake(n.pos, fmt.Sprintf("write = %s where the HIS wants it, or name one only", name), "%s asks for several, but %s does not say for which", key, kind)
		}
	}
}

func mentions(keys map[string]*node, name string) bool {
	for _, n := range keys {
		if n.holds(name) {
			return true
		}
	}
	return false
}

// holds reports whether a text is anywhere in the node.
func (n *node) holds(text string) bool {
	if strings.Contains(n.text, text) {
		return true
	}
	for _, f := range n.fields {
		if f.value.holds(text) {
			return true
		}
	}
	return slices.ContainsFunc(n.items, func(i *node) bool { return i.holds(text) })
}

// parties are those whose entries a rule may look at.
type parties string

// Values of a party.
func (parties) Values() []string { return []string{"channel", "ours", "his"} }

// exclusions compiles the rules about entries that are left out; any one does.
func (l *loader) exclusions(list *node) func(string, core.LedgerEntry) (bool, error) {
	u := newUnit(l)
	entry := viewOf(new(core.LedgerEntry))
	s := newScope(u).with("const", binding{members: l.constants}).
		with("entry", binding{typ: entry.of, slot: -1}).with("party", binding{typ: textType, slot: -1})
	for _, noun := range nouns() {
		s.hidden[noun] = "a rule of exclude sees entry and party"
	}
	var rules []*program
	for _, n := range list.items {
		before := len(l.all)
		p := s.condition(n)
		if p != nil && len(l.all) == before {
			l.onlyValues(s, n, entry)
			rules = append(rules, p)
		}
	}
	if len(rules) == 0 {
		return nil
	}
	m := &mapper{unit: u, name: "reconcile.exclude"}
	return func(party string, e core.LedgerEntry) (bool, error) {
		r := m.start(core.Input{})
		defer m.done(r)
		r.env["entry"], r.env["party"] = entry.show(&e), party
		for _, p := range rules {
			if out, err := p.holds(r); err != nil || out {
				return out, err
			}
		}
		return false, nil
	}
}

// onlyValues refuses a comparison with a text that the field never has: such a
// rule would leave nothing out, and nobody would notice.
func (l *loader) onlyValues(s *scope, n *node, entry view) {
	tree, err := parser.ParseWithConfig(n.text, s.conf())
	if err != nil {
		return // it compiled a moment ago, with the same text
	}
	ast.Walk(&tree.Node, &comparing{loader: l, at: n, entry: entry})
}

type comparing struct {
	loader *loader
	at     *node
	entry  view
}

// Visit implements ast.Visitor.
func (c *comparing) Visit(n *ast.Node) {
	b, ok := (*n).(*ast.BinaryNode)
	if !ok || !slices.Contains([]string{"==", "!=", "in"}, b.Operator) {
		return
	}
	c.check(b.Left, b.Right)
	c.check(b.Right, b.Left)
}

func (c *comparing) check(name, with ast.Node) {
	var values core.Enumeration
	switch x := name.(type) {
	case *ast.IdentifierNode:
		if x.Value == "party" {
			values = parties("")
		}
	case *ast.MemberNode:
		root, isRoot := x.Node.(*ast.IdentifierNode)
		field, isField := x.Property.(*ast.StringNode)
		if isRoot && isField && root.Value == "entry" {
			e, _ := enumerations.Load(enumKey{c.entry.of.Elem(), field.Value})
			values, _ = e.(core.Enumeration)
		}
	}
	if values == nil {
		return
	}
	texts := []ast.Node{with}
	if list, ok := with.(*ast.ArrayNode); ok {
		texts = list.Nodes
	}
	for _, t := range texts {
		if text, ok := t.(*ast.StringNode); ok && text.Value != "" && !slices.Contains(values.Values(), text.Value) {
			c.loader.mistake(c.at.place(text.Location().From), didYouMean(text.Value, values.Values()), "%q is not a value of %s", text.Value, name)
		}
	}
}
