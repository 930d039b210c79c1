package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/mapping/formats"
	"hishub/mapping/functions"
)

// Mirror is a hospital folder the other way round: it reads the requests that the
// folder writes, and words answers that the folder reads. It is for playing a HIS
// that nobody has at hand. A Mirror serves one goroutine at a time.
type Mirror struct {
	folder     *Folder
	zone       *time.Location
	functions  map[string]func(...any) (any, error)
	positional map[string]formats.Format // formats whose values have no names when they are written
	kinds      map[string]string         // format by its name in the folder
	columns    map[string][]string       // of delimited ones
	voices     []*voice
	cases      []*recordedCase
	connectors map[string]core.Connector
	// nearest is the cell that ended the reading which had come farthest.
	nearest struct {
		kind core.Kind
		cell *program
		hits int
	}
}

// contradicted notes that a cell cannot have written what came.
func (mi *Mirror) contradicted(h *hearing, cell *program) {
	if h.hits > mi.nearest.hits {
		mi.nearest.kind, mi.nearest.cell, mi.nearest.hits = h.m.kind, cell, h.hits
	}
}

// voice is one exchange that the folder can begin.
type voice struct {
	kind      core.Kind // "" of a login
	mode      core.Mode
	step      string // of an operation in several, "pre"
	undo      bool
	later     []core.Step // of the operation, in their order
	session   string      // whose login or refresh it is
	connector string
	call      *core.Call
	mapper    *mapper
}

// Mirror makes the folder's mirror. The folder must have been loaded with
// Options.Backwards and Options.Open.
func (f *Folder) Mirror() (*Mirror, error) {
	if f.loaded == nil || f.options.Open == nil {
		return nil, errors.New("mirror the folder: it was not loaded to be read backwards")
	}
	mi := &Mirror{folder: f, zone: f.Dialect.Zone, functions: map[string]func(...any) (any, error){}, positional: map[string]formats.Format{}, connectors: map[string]core.Connector{}}
	for _, fn := range functions.For(mi.zone) {
		mi.functions[fn.Name] = fn.Call
	}
	mi.readFormats()
	for name, spec := range f.Dialect.Connectors {
		c, err := f.options.Open(spec)
		if err != nil {
			mi.Close()
			return nil, fmt.Errorf("mirror the folder: open the connector %s: %w", name, err)
		}
		mi.connectors[name] = c
	}
	mi.gather()
	mi.readCases()
	return mi, nil
}

// Close releases what the mirror opened.
func (mi *Mirror) Close() {
	for _, c := range mi.connectors {
		c.Close()
	}
}

// readFormats notes what a mirror must know of formats. Of delimited text whose
// columns have no names on the wire it makes readers of its own: what the folder
// calls them when it reads an answer says nothing of what it writes.
func (mi *Mirror) readFormats() {
	mi.kinds, mi.columns = map[string]string{}, map[string][]string{}
	for _, k := range formats.All {
		mi.kinds[k.Name] = k.Name
	}
	if plain, err := formats.New("delimited", nil); err == nil {
		mi.positional["delimited"] = plain
	}
	n := mi.folder.loaded.hospital["formats"]
	if n == nil {
		return
	}
	for _, f := range n.fields {
		if len(f.value.fields) == 0 {
			continue
		}
		name, kind := f.key.text, f.value.fields[0].key.text
		mi.kinds[name] = kind
		if kind != "delimited" {
			continue
		}
		options := formatOptions(f.value.fields[0].value)
		if options["header"] == true {
			continue
		}
		if list, ok := options["columns"].([]any); ok {
			for _, c := range list {
				mi.columns[name] = append(mi.columns[name], fmt.Sprint(c))
			}
		}
		delete(options, "columns")
		delete(options, "lenient")
		if reader, err := formats.New("delimited", options); err == nil {
			mi.positional[name] = reader
		}
	}
}

// gather lists all exchanges, in the order of the catalogue.
func (mi *Mirror) gather() {
	d := mi.folder.Dialect
	add := func(v voice) {
		if m, ok := v.call.Mapper.(*mapper); ok {
			v.mapper, v.connector = m, v.call.Connector
			mi.voices = append(mi.voices, &v)
		}
	}
	for _, t := range core.Catalogue {
		o := d.Operations[t.Kind]
		if o == nil {
			continue
		}
		for i := range o.Steps {
			s := &o.Steps[i]
			name := ""
			if len(o.Steps) > 1 || s.Name != string(o.Kind) {
				name = s.Name
			}
			add(voice{kind: t.Kind, mode: t.Mode, step: name, later: o.Steps[i+1:], call: &s.Call})
			if s.Undo != nil {
				add(voice{kind: t.Kind, mode: t.Mode, step: name, undo: true, call: &s.Undo.Call})
			}
		}
	}
	var names []string
	for name := range d.Sessions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s := d.Sessions[name]
		add(voice{session: name, call: &s.Login})
		if s.Refresh != nil {
			add(voice{session: name, call: s.Refresh})
		}
	}
}

// codesFor are the codes that a table maps to want.
func (mi *Mirror) codesFor(r *run, l *lookup, want string) []string {
	t := mi.folder.loaded.codes[l.Table()]
	if t == nil {
		return nil
	}
	column := 0
	if l.Direction() == core.CodeIn {
		column = 1
	}
	var found []string
	for i := range t.Rows {
		code := t.Rows[i].Values[column]
		if slices.Contains(found, code) || code == "" {
			continue
		}
		v, err := r.code(l, code, nil)
		if text, ok := v.(string); err == nil && ok && text == want {
			found = append(found, code)
		}
	}
	return found
}

// Heard is a request that was recognised.
type Heard struct {
	// Kind is "" for a login, whose session is named instead.
	Kind core.Kind
	Mode core.Mode
	Step string
	Undo bool
	// Last: no later step applies to the message, as far as it came.
	Last    bool
	Session string
	Call    *core.Call
	// Input is what the request was made of, as far as it could be recovered.
	Input core.Input
	// Fields are the recovered values by path, "payment.order_id", as text.
	Fields map[string]string
	// Weak are those of Fields that lost something on the way, or are one of several.
	Weak map[string]bool
	// Unread are the places of cells from which nothing could be learned.
	Unread []string
	// Verified are places of cells that cannot be read but were computed, and are
	// right, a signature above all; Forged are those that are not.
	Verified, Forged []string
	// Key is the business key, "" where its fields did not come.
	Key string
	// Page is the mark of the page that is asked for, "" where there are none.
	Page      string
	FirstPage bool
	// Others are exchanges that would have written the same.
	Others []string

	voice   *voice
	request core.Request
}

// Name for people: "payment.settle pre undo".
func (h *Heard) Name() string { return h.voice.name() }

// Transport is the transport's word for what is called, as the request has it.
func (h *Heard) Transport() string { return h.request.Operation }

func (v *voice) name() string {
	parts := []string{string(v.kind)}
	if v.session != "" {
		parts = []string{"login " + v.session}
	}
	if v.step != "" {
		parts = append(parts, v.step)
	}
	if v.undo {
		parts = append(parts, "undo")
	}
	return strings.Join(parts, " ")
}

// ErrUnheard is a request that no exchange of the folder would have written.
var ErrUnheard = errors.New("no operation of the folder writes such a request")

// Hear recognises a request that came over a connector, in any of the ways in which
// its transport can be read. Operation is "" where the transport does not say what
// is called. The error is ErrUnheard, and says how many were tried and where the
// nearest one would have written something else.
func (mi *Mirror) Hear(connector string, ways ...core.Request) (*Heard, error) {
	var best *hearing
	var chosen *voice
	var q core.Request
	var others []string
	tried := 0
	mi.nearest.cell, mi.nearest.hits = nil, 0
	for _, v := range mi.voices {
		if v.connector != connector {
			continue
		}
		tried++
		h, way := mi.heardIn(v, ways)
		if h == nil {
			continue
		}
		switch {
		case best == nil || h.fits(best) > 0:
			best, chosen, q, others = h, v, way, nil
		case h.fits(best) == 0 && v.mode == core.Question && chosen.mode != core.Question:
			// A step that only looks is answered by the books like a question.
			best, chosen, q, others = h, v, way, append(others, chosen.name())
		case h.fits(best) == 0:
			others = append(others, v.name())
		}
	}
	if near := mi.nearest; best == nil && near.cell != nil {
		return nil, fmt.Errorf("%w; %d were tried, and the nearest, %s, cannot have written what stands where its cell at %s is", ErrUnheard, tried, cmp.Or(string(near.kind), "a login"), near.cell.at)
	}
	if best == nil {
		return nil, fmt.Errorf("%w; %d were tried", ErrUnheard, tried)
	}
	out := best.heard(chosen, q)
	out.Others = others
	return out, nil
}

// heardIn is the way of reading a request in which an exchange explains it best.
func (mi *Mirror) heardIn(v *voice, ways []core.Request) (best *hearing, way core.Request) {
	for _, q := range ways {
		if h := mi.hearing(v, q); h != nil && (best == nil || h.fits(best) > 0) {
			best, way = h, q
		}
	}
	return best, way
}

// fits is positive where h explains the request better than o.
func (h *hearing) fits(o *hearing) int {
	if a, b := h.misses+h.extras, o.misses+o.extras; a != b {
		return b - a
	}
	if h.hits != o.hits {
		return h.hits - o.hits
	}
	return len(o.lost) - len(h.lost)
}

// hearing reads the request as one exchange's; nil if it cannot be.
func (mi *Mirror) hearing(v *voice, q core.Request) (out *hearing) {
	defer func() {
		if recover() != nil {
			out = nil // whatever arrives, the player goes on
		}
	}()
	h := mi.listen(v.mapper)
	m := v.mapper
	if q.Operation != "" && !h.document(m.wireCall, q.Operation) {
		return nil
	}
	headers := &children{tree: core.Tree(q.Headers), used: map[string]bool{}, fold: true}
	if !h.named(m.headers, headers) {
		return nil
	}
	h.misses = 0 // a header that is not there may be one that the transport took
	query := &children{tree: core.Tree(q.Query), used: map[string]bool{}}
	if !h.named(m.query, query) {
		return nil
	}
	for _, f := range query.tree {
		if !query.used[f.Name] && !query.open {
			h.extras++
		}
	}
	if !h.body(q.Body) {
		return nil
	}
	h.again()
	return h
}

func (h *hearing) body(body core.Value) bool {
	before := h.remember()
	if h.document(h.m.send, body) {
		return true
	}
	h.backTo(before)
	// A dialect that writes one text where the transport has named parameters.
	if tree, ok := body.(core.Tree); ok && len(tree) == 1 {
		return h.document(h.m.send, tree[0].Value)
	}
	return false
}

// named reads headers or a query, which several layers of the folder write.
func (h *hearing) named(parts []template, c *children) bool {
	for _, p := range parts {
		if f := h.fragment(p); f != nil && !h.children(f.fields, c) {
			return false
		}
	}
	return true
}

// again goes back to what was lost, now that more is known.
func (h *hearing) again() {
	for range 3 {
		lost := h.lost
		h.lost = nil
		for _, l := range lost {
			h.tree, h.alias, h.local = l.tree, l.alias, l.local
			h.forget()
			before := h.remember()
			if !h.invert(l.node, l.want) {
				h.backTo(before)
				h.lose(l.node, l.want)
			}
		}
		h.tree, h.alias = nil, map[string]string{}
		if len(h.lost) == len(lost) || len(h.lost) == 0 {
			return
		}
	}
}
