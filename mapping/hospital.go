package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hishub/core"
	"hishub/mapping/formats"
	"hishub/mapping/functions"
)

var hospitalID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// readHospital reads what is about the hospital as a whole.
func (l *loader) readHospital(d *core.Dialect) {
	h := l.hospital
	if n := h["hospital"]; n != nil {
		if d.Hospital = n.text; !hospitalID.MatchString(n.text) {
			l.mistake(n.pos, "use lower-case letters, digits and -", "%q cannot be a hospital's id", n.text)
		}
	}
	if n := h["name"]; n != nil {
		d.Name = n.text
	}
	zone := "Asia/Shanghai"
	if n := h["timezone"]; n != nil {
		zone = n.text
	}
	loaded, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		l.mistake(h["timezone"].pos, "write Asia/Shanghai or another name of the tz database", "there is no time zone %q", zone)
		loaded = time.UTC
	}
	l.zone, d.Zone = loaded, loaded
	l.readConstants()
	d.Limits = core.Limits{Concurrency: 4, Rate: 20}
	if n := h["limits"]; n != nil {
		l.readLimits(n, &d.Limits)
	}
	l.readHours(h, d)
}

var (
	wholeVariable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)
	variable      = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
	secretName    = regexp.MustCompile(`(?i)(password|passwd|pwd|secret|token|private_?key|app_?key|api_?(v3_?)?key|sign_?key|^key$|salt|credential)`)
)

func (l *loader) readConstants() {
	l.constants, l.secrets = map[string]member{}, map[string]member{}
	if n := l.hospital["constants"]; n != nil {
		for _, f := range n.fields {
			if !l.memberName(f.key) {
				continue
			}
			if secretName.MatchString(f.key.text) && !variable.MatchString(f.value.text) {
				l.mistake(f.value.pos, fmt.Sprintf(`if it is one, write it as secrets: {%s: "${ENV}"}`, f.key.text), "the constant %q looks like a secret in clear", f.key.text)
			}
			l.constants[f.key.text] = member{typ: textType, constant: l.expand(f.value)}
		}
	}
	if n := l.hospital["secrets"]; n != nil {
		l.readSecrets(n)
	}
}

func (l *loader) memberName(key *node) bool {
	if !identifier.MatchString(key.text) {
		l.mistake(key.pos, "use letters, digits and _", "%q cannot be a name", key.text)
		return false
	}
	return true
}

// expand puts environment variables into text.
func (l *loader) expand(n *node) string {
	return variable.ReplaceAllStringFunc(n.text, func(v string) string {
		name := v[2 : len(v)-1]
		value, ok := l.options.Env(name)
		if !ok {
			l.mistake(n.pos, cmp.Or(l.options.Unset, "set it"), "the environment variable %s is not set", name)
		}
		return value
	})
}

func (l *loader) readLimits(n *node, limits *core.Limits) {
	s := l.section(n, limitsTable)
	if c := s["concurrency"]; c != nil {
		limits.Concurrency, _ = strconv.Atoi(c.text)
	}
	if r := s["rate"]; r != nil {
		count, unit, _ := strings.Cut(r.text, "/")
		rate, err := strconv.ParseFloat(count, 64)
		per, ok := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
		if err != nil || !ok || !(rate > 0) || rate > 1e6 {
			l.mistake(r.pos, "write 20/s or 600/m", "%q is not a rate", r.text)
			return
		}
		limits.Rate = rate / per
	}
}

// readFormats makes the formats of the folder and the functions that read them.
func (l *loader) readFormats() {
	l.formats = map[string]textFormat{}
	for _, k := range formats.All {
		f, err := formats.New(k.Name, nil)
		if err != nil {
			panic(err) // a format without options always works
		}
		l.formats[k.Name] = f
	}
	if n := l.hospital["formats"]; n != nil {
		for _, f := range n.fields {
			if !l.memberName(f.key) {
				continue
			}
			kind, options := f.value.fields[0].key, f.value.fields[0].value
			format, err := formats.New(kind.text, formatOptions(options))
			if err != nil {
				l.formatMistakes(kind, options, err)
				format = l.formats["xml"].(formats.Format) // so that its users are checked
			}
			l.formats[f.key.text] = format
		}
	}
	l.language, l.words = functions.Options(l.zone), map[string]bool{"code": true, "from_code": true}
	for _, f := range functions.For(l.zone) {
		l.words[f.Name] = true
	}
	l.readers = map[string]*namedFormat{}
	for name, f := range l.formats {
		l.readers["from_"+name] = &namedFormat{"from_" + name, f}
		f := reader("from_"+name, f)
		l.words[f.Name] = true
		l.language = append(l.language, f.Option())
	}
	l.language = append(l.language, machinery...)
}

// reader is from_<format>.
func reader(name string, f textFormat) functions.Function {
	return functions.Function{
		Name: name,
		Doc:  name + "(text) tree: nil gives nil",
		Call: func(args ...any) (any, error) {
			if len(args) != 1 || args[0] == nil {
				return nil, nil
			}
			text, err := functions.Text(args[0])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return f.Read(text)
		},
		Types: []any{new(func(functions.Data) any)},
	}
}

func (l *loader) formatMistakes(kind, options *node, err error) {
	list := []error{err}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		list = many.Unwrap()
	}
	for _, e := range list {
		at := kind.pos
		var option *formats.OptionError
		if errors.As(e, &option) {
			if n := options.get(option.Option); n != nil {
				at = n.pos
			}
		}
		l.mistake(at, "", "%v", e)
	}
}

func (l *loader) format(name string) textFormat { return l.formats[name] }

func (l *loader) formatNames() []string { return slices.Collect(maps.Keys(l.formats)) }

// formatOptions are the options of a format. Those that are maps keep the order in
// which they are written: it is the order of columns.
func formatOptions(n *node) map[string]any {
	out := map[string]any{}
	for _, f := range n.fields {
		out[f.key.text] = formatOption(f.value)
	}
	return out
}

func formatOption(n *node) any {
	if n.kind != mapNode {
		return plainOption(n, func(n *node) string { return n.text })
	}
	out := core.Tree{}
	for _, f := range n.fields {
		out = append(out, core.Field{Name: f.key.text, Value: formatOption(f.value)})
	}
	return out
}

// plainOptions are options as Go values; text is put through expand.
func plainOptions(n *node, expand func(*node) string) map[string]any {
	out := map[string]any{}
	for _, f := range n.fields {
		out[f.key.text] = plainOption(f.value, expand)
	}
	return out
}

func plainOption(n *node, expand func(*node) string) any {
	switch {
	case n.kind == mapNode:
		return plainOptions(n, expand)
	case n.kind == listNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = plainOption(item, expand)
		}
		return list
	case n.isEmpty():
		return ""
	case n.style == plainWord && (n.text == "true" || n.text == "false"):
		return n.text == "true"
	case n.style == plainWord:
		if i, err := strconv.Atoi(n.text); err == nil {
			return i
		}
	}
	return expand(n)
}

// connector is one entrance of the HIS as the folder describes it.
type connector struct {
	spec    core.ConnectorSpec
	at      pos
	options *node
	timeout time.Duration
	opened  core.Connector // nil where it could not or need not be opened
}

var connectorKinds = []string{"soap", "rest", "db", "tcp"}

func (l *loader) readConnectors(d *core.Dialect) {
	l.connectors = map[string]*connector{}
	d.Connectors = map[string]core.ConnectorSpec{}
	n := l.hospital["connectors"]
	if n == nil {
		return
	}
	for _, f := range n.fields {
		kind, options := f.value.fields[0].key, f.value.fields[0].value
		c := &connector{at: f.key.pos, options: options, timeout: durationOr30s(nil)}
		l.connectors[f.key.text] = c
		if !slices.Contains(connectorKinds, kind.text) {
			l.mistake(kind.pos, didYouMean(kind.text, connectorKinds), "there is no connector of kind %q", kind.text)
			continue
		}
		l.secretsInClear(options)
		before := len(l.all)
		c.spec = core.ConnectorSpec{Name: f.key.text, Kind: kind.text, Options: plainOptions(options, l.expand), Files: l.files}
		c.timeout = durationOr30s(options.get("timeout"))
		c.spec.Timeout = c.timeout
		d.Connectors[f.key.text] = c.spec
		if len(l.all) == before && l.options.Open != nil {
			l.open(c)
		}
	}
}

// durationOr30s is a connector's deadline; what is no duration, the connector refuses.
func durationOr30s(n *node) time.Duration {
	if n != nil {
		if d, err := time.ParseDuration(n.text); err == nil && d > 0 {
			return d
		}
	}
	return 30 * time.Second
}

// secretsInClear refuses options that look like secrets and hold literal text.
func (l *loader) secretsInClear(n *node) {
	for _, f := range n.fields {
		l.secretsInClear(f.value)
		if f.value.kind == scalarNode && !f.value.isEmpty() && secretName.MatchString(f.key.text) && !variable.MatchString(f.value.text) {
			l.mistake(f.value.pos, `write "${NAME}" and set the variable NAME`, "the option %q looks like a secret in clear", f.key.text)
		}
	}
}

func (l *loader) open(c *connector) {
	opened, err := l.options.Open(c.spec)
	if err == nil {
		c.opened = opened
		return
	}
	var problems core.Problems
	if !errors.As(err, &problems) {
		l.mistake(c.at, "", "the connector %q cannot be opened: %v", c.spec.Name, err)
		return
	}
	l.optionMistakes(c.options, c.at, c.spec.Kind, problems)
}

// optionMistakes finds the places of options that somebody else judged.
func (l *loader) optionMistakes(options *node, otherwise pos, kind string, problems core.Problems) {
	for _, p := range problems {
		at := options.pos
		if options.isEmpty() {
			at = otherwise
		}
		n, name := options, ""
		for _, part := range strings.Split(p.Field, ".") {
			name = part
			if n = n.get(part); n == nil {
				break
			}
			at = n.pos
		}
		l.mistake(at, "", "%s: %s", cmp.Or(p.Field, name, kind), p.What)
	}
}

func (l *loader) closeConnectors() {
	for _, c := range l.connectors {
		if c.opened != nil {
			c.opened.Close()
		}
	}
}
