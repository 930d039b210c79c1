package draft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hishub/core"
)

// Sources are what the hospital gave.
type Sources struct {
	ID, Name  string
	WSDLs     []WSDL
	OpenAPIs  []File
	Samples   []File
	Schemas   []File // SQL dumps
	Databases []Database
	// Only are the kinds and nouns to draft; none is all.
	Only []string
}

// WSDL is a description that a connector of kind soap has read.
type WSDL struct {
	File          string // in the new folder
	Version, Port string
	Methods       []Method
	Files         map[string][]byte // the WSDL and what it imports, for the new folder
}

// Method is an operation of a WSDL.
type Method struct {
	core.Shape
	Words   string
	Refused string
	OneWay  bool
	Header  []string
	Alone   bool // its answer is a lone text
}

// Folder is a drafted hospital folder.
type Folder struct {
	Files   map[string][]byte
	Guesses []Guess
	Notes   []string
}

// Guess is a transaction that was recognised.
type Guess struct {
	Kind   core.Kind
	Call   string
	Why    string // the words that told
	Places int    // cells that were guessed
	Open   int    // cells that somebody must fill in
	Cases  int
}

// plan is a folder while it is drafted.
type plan struct {
	Sources
	entrances []*entrance
	samples   []*seen
	anyRoot   bool
	constants []entry
	secrets   []entry
	formats   []entry
	env       []string
	codes     map[string]*codes
	files     map[string][]byte
	guesses   []Guess
	notes     []string
	drafted   map[core.Kind]*Offer
}

// codes is a code table that cells use.
type codes struct {
	values []string
	theirs map[string]string // those that a sample told
}

// New drafts a folder. An error names the file that cannot be used, and its line; it
// is that of ctx where that ends first.
func New(ctx context.Context, s Sources) (*Folder, error) {
	if err := known(s.Only); err != nil {
		return nil, err
	}
	p := &plan{Sources: s, codes: map[string]*codes{}, files: map[string][]byte{}, drafted: map[core.Kind]*Offer{}}
	var wrong []error
	for _, w := range s.WSDLs {
		p.wsdl(w)
	}
	for _, f := range s.OpenAPIs {
		wrong = append(wrong, p.openAPI(f))
	}
	for _, f := range s.Schemas {
		tables, err := readSchema(ctx, f)
		if wrong = append(wrong, err); err == nil {
			p.database(ctx, tables)
		}
	}
	for _, d := range s.Databases {
		p.database(ctx, d.description)
	}
	for _, f := range s.Samples {
		seen, err := readSample(f)
		if wrong = append(wrong, err); err == nil {
			p.samples = append(p.samples, seen)
		}
	}
	if err := stopped(ctx); err != nil {
		return nil, err
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	p.placeSamples()
	if len(p.entrances) == 0 {
		return nil, errors.New("nothing to draft from: give --wsdl, --openapi, --sample or --db")
	}
	for _, e := range p.entrances {
		p.wrap(e)
	}
	p.recognise(ctx)
	for _, e := range p.entrances {
		p.verdicts(e)
	}
	p.write(ctx)
	if err := stopped(ctx); err != nil {
		return nil, err // what was drafted is not whole
	}
	p.unused()
	p.missing()
	return &Folder{Files: p.files, Guesses: p.guesses, Notes: p.notes}, nil
}

// stopped is the error of a ctx that has ended.
func stopped(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("the draft was broken off: %w", err)
	}
	return nil
}

// known reports words of Only that name nothing.
func known(only []string) error {
	var wrong []error
	for _, word := range only {
		if !slices.ContainsFunc(core.Catalogue, func(t core.Transaction) bool { return wanted([]string{word}, t) }) {
			wrong = append(wrong, fmt.Errorf("%q is no transaction and no noun; write as prescription.create, or prescription for all of them", word))
		}
	}
	return errors.Join(wrong...)
}

func wanted(only []string, t core.Transaction) bool {
	return len(only) == 0 || slices.Contains(only, string(t.Kind)) || slices.Contains(only, t.Noun)
}

func (p *plan) note(format string, args ...any) {
	if n := remark(fmt.Sprintf(format, args...)); !slices.Contains(p.notes, n) {
		p.notes = append(p.notes, n)
	}
}

// entrance adds a connector of a kind; the first is the default one.
func (p *plan) entrance(kind string) *entrance {
	name := "default"
	if len(p.entrances) > 0 {
		name = kind
		for n := 2; slices.ContainsFunc(p.entrances, func(e *entrance) bool { return e.name == name }); n++ {
			name = fmt.Sprintf("%s_%d", kind, n)
		}
	}
	e := &entrance{name: name, kind: kind}
	p.entrances = append(p.entrances, e)
	return e
}

func (e *entrance) add(o *Offer) {
	o.entrance = e
	e.offers = append(e.offers, o)
}

// variable names a variable of the environment, with a value for env.sample.
func (p *plan) variable(e *entrance, name, example string) string {
	name = strings.ToUpper(strings.ReplaceAll(p.ID, "-", "_")) + "_" + name
	if e != nil && e.name != "default" {
		name += "_" + strings.ToUpper(e.name)
	}
	line := name + "=" + strings.Join(strings.Fields(example), "")
	if !slices.ContainsFunc(p.env, func(l string) bool { return strings.HasPrefix(l, name+"=") }) {
		p.env = append(p.env, line)
	}
	return `"${` + name + `}"`
}

// constant names a constant of the hospital. Where a sample has another value than
// the one before, it is another constant.
func (p *plan) constant(name string, f Field) string {
	value := open
	if f.Seen {
		value = literal(f.Sample, false)
	}
	base := name
	for n := 2; ; n++ {
		i := slices.IndexFunc(p.constants, func(e entry) bool { return e.key == name })
		switch {
		case i < 0:
			p.constants = append(p.constants, entry{key: name, value: value, note: f.Name})
			return name
		case p.constants[i].value == value || value == open:
			return name
		case p.constants[i].value == open:
			p.constants[i].value = value
			return name
		}
		name = fmt.Sprintf("%s_%d", base, n)
	}
}

func (p *plan) secret(name string) string {
	if !slices.ContainsFunc(p.secrets, func(e entry) bool { return e.key == name }) {
		p.secrets = append(p.secrets, entry{key: name, value: p.variable(nil, strings.ToUpper(name), "an-example-only")})
	}
	return name
}

func (p *plan) format(name, kind, options string) {
	if !slices.ContainsFunc(p.formats, func(e entry) bool { return e.key == name }) {
		p.formats = append(p.formats, entry{key: name, value: "{" + kind + ": " + options + "}"})
	}
}

// tableNames are the code tables of fields whose own name is no good one.
var tableNames = map[string]string{"channel": "pay_channel"}

// codeTable names the table of a field of ours, and notes what a sample tells of it.
func (p *plan) codeTable(c canon, sample string) string {
	name := cmp.Or(tableNames[c.name], c.name)
	if t := p.codes[name]; t != nil && !slices.Equal(t.values, c.values) {
		name += "_" + c.values[0] // the same word for other values, as category
	}
	t := p.codes[name]
	if t == nil {
		t = &codes{values: c.values, theirs: map[string]string{}}
		p.codes[name] = t
	}
	if ours := oursOf(c.values, sample); ours != "" {
		if _, taken := t.theirs[ours]; !taken && !slices.Contains(slices.Collect(maps.Values(t.theirs)), sample) {
			t.theirs[ours] = sample
		}
	}
	return name
}

// codeWordsOf are the codes that HIS's write for values of ours.
var codeWordsOf = map[string]string{
	"male": "m 1 男 男性 male", "female": "f 2 女 女性 female",
	"wechat": "wx wechat wechatmp weixin wxpay 微信", "alipay": "zfb alipay ali 支付宝", "unionpay": "yl unionpay 银联", "insurance": "yb si 医保", "cash": "ca xj cash 现金", "bank": "yhk bank 银行卡",
	"western": "西药 western", "patent": "中成药", "herbal": "草药 中草药", "morning": "上午 am", "afternoon": "下午 pm", "lab": "检验 lab", "exam": "检查 exam",
}

func oursOf(values []string, sample string) string {
	for _, v := range values {
		if sample != "" && slices.Contains(words(codeWordsOf[v]), strings.ToLower(sample)) {
			return v
		}
	}
	return ""
}

// recognise guesses which transactions the offers are. Of several that look like
// the same one, the one of which most is known takes it.
func (p *plan) recognise(ctx context.Context) {
	best := map[core.Kind]int{}
	for _, e := range p.entrances {
		for _, o := range e.offers {
			if ctx.Err() != nil {
				return
			}
			if o.kind == "" && !o.Login && o.Refused == "" {
				o.kind, o.why = guessKind(o.Name, o.Words)
			}
			if o.kind == "" {
				continue
			}
			if t, _ := core.Lookup(o.kind); !wanted(p.Only, t) {
				o.kind, o.unwanted = "", true
				continue
			}
			weight := 1 + o.fits()
			if o.Sample != nil {
				weight += 1000
				if o.Sample.kind == o.kind {
					weight += 10_000 // somebody said so, by the name of the file
				}
			}
			if weight > best[o.kind] {
				best[o.kind] = weight
				p.drafted[o.kind] = o
			}
		}
	}
}

// missing notes what was asked for and not recognised.
func (p *plan) missing() {
	for _, word := range p.Only {
		if !slices.ContainsFunc(p.guesses, func(g Guess) bool { t, _ := core.Lookup(g.Kind); return wanted([]string{word}, t) }) {
			p.note("nothing looks like %s; if it is there under a name that tells nothing, it stands in offered.yaml, to copy from", word)
		}
	}
}

// fits counts the fields that look like those of its transaction.
func (o *Offer) fits() int {
	n := 0
	var count func(fields []Field, canons []canon)
	count = func(fields []Field, canons []canon) {
		for _, f := range fields {
			c, ok := likely(f, canons)
			if ok {
				n++
			}
			if ok && c.is == isMany {
				count(f.Children, c.fields)
			} else if !f.leaf() {
				count(f.Children, canons)
			}
		}
	}
	count(o.Send, messageOf(o.kind))
	return n
}
