package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/mapping"
)

// loadFolder compiles a hospital folder for this machine's environment.
func loadFolder(folder fs.FS) (*mapping.Folder, error) { return loadFrom(folder, os.LookupEnv) }

// loadFrom compiles one for an environment; the commands that want a whole one all take --env.
func loadFrom(folder fs.FS, env func(name string) (string, bool)) (*mapping.Folder, error) {
	return compile(folder, mapping.Options{Env: env, Unset: "set it, or give --env FILE"})
}

func compile(folder fs.FS, o mapping.Options) (*mapping.Folder, error) {
	o.Open, o.OpenChannel, o.Listen = connectors.Open, connectors.OpenChannel, connectors.Listen
	return mapping.Load(folder, o)
}

// loadSample compiles a hospital folder to look at it: what is not set in the
// environment is as in its env.sample. What it gives must not reach a HIS.
func loadSample(folder fs.FS) (*mapping.Folder, error) {
	sample, err := readSample(folder)
	if err != nil {
		return nil, err
	}
	env := func(name string) (string, bool) {
		if v, ok := os.LookupEnv(name); ok {
			return v, true
		}
		v, ok := sample[name]
		return v, ok
	}
	return compile(folder, mapping.Options{Env: env})
}

// loadCases compiles a folder as its cases are to run anywhere: env.sample wins over
// the environment. Cases are signed and sealed with its keys, so with those of this
// machine they would fail, and a secret of it could get into one.
func loadCases(folder fs.FS) (*mapping.Folder, error) {
	sample, err := readSample(folder)
	if err != nil {
		return nil, err
	}
	env := func(name string) (string, bool) {
		if v, ok := sample[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	}
	return compile(folder, mapping.Options{Env: env})
}

const sampleFile = "env.sample"

// readSample reads env.sample, if the folder has one. The error is mapping.Mistakes.
func readSample(folder fs.FS) (map[string]string, error) {
	text, err := fs.ReadFile(folder, sampleFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, mapping.Mistakes{{File: sampleFile, Line: 1, Column: 1, What: "the file cannot be read"}}
	}
	return parseVariables(sampleFile, string(text))
}

// parseVariables reads lines NAME=value, and comments that begin with #. The
// error is mapping.Mistakes.
func parseVariables(file, text string) (map[string]string, error) {
	variables := map[string]string{}
	var mistakes mapping.Mistakes
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if _, twice := variables[name]; twice {
			mistakes = append(mistakes, mapping.Mistake{File: file, Line: number, Column: 1, What: "this variable is here a second time", Cure: "keep one of them"})
		} else if !ok || name == "" || strings.ContainsAny(name, " \t") {
			mistakes = append(mistakes, mapping.Mistake{File: file, Line: number, Column: 1, What: "not a variable", Cure: "write NAME=value, or # before a comment"})
		}
		variables[name] = value
	}
	if mistakes != nil {
		return nil, mistakes
	}
	return variables, nil
}

// openHospital makes a loaded folder a hospital that can be asked.
func openHospital(d *core.Dialect, revision int, sessions core.SessionStore, observe func(core.Exchange)) (*core.Hospital, error) {
	open := map[string]core.Connector{}
	d = d.WithChannels()
	for name, spec := range d.Connectors {
		c, err := openConnector(name, spec)
		if err != nil {
			for _, c := range open {
				c.Close()
			}
			return nil, fmt.Errorf("open connector %s: %w", name, err)
		}
		open[name] = c
	}
	return core.NewHospital(d, revision, open, sessions, observe), nil
}

func openConnector(name string, spec core.ConnectorSpec) (core.Connector, error) {
	if strings.HasPrefix(name, core.ChannelConnector("")) {
		return connectors.OpenChannel(spec)
	}
	return connectors.Open(spec)
}

// hospitals opens the revisions that the ledger holds, each once, and follows
// which one is active.
type hospitals struct {
	store    *postgres.Store
	sessions core.SessionStore
	observe  func(core.Exchange)
	// certificates is told of those that connectors meet; nil is not.
	certificates *certificates

	mu     sync.Mutex
	open   map[revisionKey]*opening
	active map[string]postgres.HospitalRecord
	// compiling bounds how many folders are compiled at a time.
	compiling chan struct{}
	// retired are those in whose place one with other variables was opened.
	retired map[*core.Hospital]*time.Timer
}

type revisionKey struct {
	hospital string
	number   int
}

// opening is a revision that is open, or why it cannot be; a failure is tried
// again after a while.
type opening struct {
	ready     chan struct{}
	hospital  *core.Hospital
	err       error
	retry     time.Time
	consulted consulted
	// former is why it goes on with variables that have changed since; nil if it does not.
	former error
}

// worthAnother reports whether it failed a while ago.
func (o *opening) worthAnother() bool {
	select {
	case <-o.ready:
		return o.err != nil && time.Now().After(o.retry)
	default:
		return false // it is being opened; err is not ours to read yet
	}
}

func newHospitals(store *postgres.Store, sessions core.SessionStore, observe func(core.Exchange)) *hospitals {
	return &hospitals{store: store, sessions: sessions, observe: observe, open: map[revisionKey]*opening{}, active: map[string]postgres.HospitalRecord{}, retired: map[*core.Hospital]*time.Timer{}, compiling: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// follow keeps the list of active revisions true until ctx ends, and tells
// changed of every new list.
func (r *hospitals) follow(ctx context.Context, every time.Duration, changed func(map[string]postgres.HospitalRecord)) {
	for {
		if err := r.refresh(ctx); err == nil && changed != nil {
			r.mu.Lock()
			active := r.active
			r.mu.Unlock()
			changed(active)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

func (r *hospitals) refresh(ctx context.Context) error {
	records, err := r.store.Hospitals(ctx)
	if err != nil {
		return err
	}
	active := make(map[string]postgres.HospitalRecord, len(records))
	for _, h := range records {
		active[h.ID] = h
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active = active
	return nil
}

// Hospital implements delivery.Hospitals. Whatever the revision, it has the
// limits that an operator set.
func (r *hospitals) Hospital(ctx context.Context, id string, revision int) (*core.Hospital, error) {
	r.mu.Lock()
	record, known := r.active[id]
	r.mu.Unlock()
	if !known && revision == 0 {
		if err := r.refresh(ctx); err != nil {
			return nil, err
		}
		r.mu.Lock()
		record, known = r.active[id]
		r.mu.Unlock()
		if !known {
			return nil, core.ErrUnknownHospital
		}
	}
	if revision == 0 {
		revision = record.Revision
	}
	limits := record.Limits
	k := revisionKey{id, revision}
	r.mu.Lock()
	o := r.open[k]
	if o == nil || o.worthAnother() {
		o = &opening{ready: make(chan struct{})}
		r.open[k] = o
		go r.openRevision(k, o)
	}
	r.mu.Unlock()
	select {
	case <-o.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if o.err != nil {
		return nil, o.err
	}
	return limited(o.hospital, limits), nil
}

// limited is the hospital with an operator's limits in place of its folder's;
// everything else it shares with the one that is open.
func limited(h *core.Hospital, l postgres.Limits) *core.Hospital {
	if !l.Set() {
		return h
	}
	same, dialect := *h, *h.Dialect
	dialect.Limits = l.Over(dialect.Limits)
	same.Dialect = &dialect
	return &same
}

func (r *hospitals) openRevision(k revisionKey, o *opening) {
	defer close(o.ready)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	o.consulted = consulted{}
	if o.hospital, o.err = r.load(ctx, k, o.consulted); o.err != nil {
		o.err = &core.Fault{Class: core.Unavailable, Op: "open hospital " + k.hospital, Err: o.err}
	}
	o.retry = time.Now().Add(5 * time.Second)
}

func (r *hospitals) load(ctx context.Context, k revisionKey, variables consulted) (*core.Hospital, error) {
	revision, err := r.store.Revision(ctx, k.hospital, k.number)
	if err != nil {
		return nil, err
	}
	files, err := mapping.Unpack(revision.Archive)
	if err != nil {
		return nil, err
	}
	// A thousand hospitals that are first needed at the same moment take turns: the
	// processors are everybody's.
	r.compiling <- struct{}{}
	folder, err := loadFrom(files, variables.look)
	<-r.compiling
	if err != nil {
		return nil, fmt.Errorf("revision %d of %s does not load on this machine: %w", k.number, k.hospital, err)
	}
	return openHospital(r.certificates.watched(folder.Dialect), k.number, r.sessions, r.observe)
}

// can implements the ledger's question whether a dialect has a transaction. A
// revision that does not open now can hold messages all the same.
func (r *hospitals) can(id string, kind core.Kind) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h, err := r.Hospital(ctx, id, 0)
	// An unknown hospital is the ledger's to refuse.
	return err != nil || h.Operations[kind] != nil
}

func (r *hospitals) passWhenParked(id string, kind core.Kind) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h, err := r.Hospital(ctx, id, 0)
	return err == nil && h.Operations[kind] != nil && h.Operations[kind].PassWhenParked
}

// place is what a night must know of a hospital.
func (r *hospitals) place(ctx context.Context, id string) (reconcile.Place, error) {
	h, err := r.Hospital(ctx, id, 0)
	if err != nil {
		return reconcile.Place{}, err
	}
	return reconcile.Place{
		Zone: h.Zone, NightRules: h.Night, Rests: h.Rests, Bills: h.Billers(),
		Can: func(k core.Kind) bool { return h.Operations[k] != nil || k == core.LedgerPushed && h.Pushes(k) },
	}, nil
}

// close closes every connector.
func (r *hospitals) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.open {
		<-o.ready
		if o.hospital != nil {
			o.hospital.Close()
		}
	}
	for h, timer := range r.retired {
		timer.Stop()
		h.Close()
	}
	clear(r.retired)
}

// applyFolder makes a folder a hospital's active revision.
func applyFolder(ctx context.Context, store *postgres.Store, folder fs.FS, who, note string) (*mapping.Folder, int, error) {
	f, err := loadFolder(folder)
	if err != nil {
		return nil, 0, err
	}
	number, err := applyLoaded(ctx, store, f.Dialect, folder, who, note)
	return f, number, err
}

// applyLoaded does the same with one that was compiled already.
func applyLoaded(ctx context.Context, store *postgres.Store, d *core.Dialect, folder fs.FS, who, note string) (int, error) {
	archive, digest, err := mapping.Archive(folder)
	if err != nil {
		return 0, err
	}
	return store.Apply(ctx, d.Hospital, d.Name, archive, digest, who, note)
}

// folders lists the hospital folders at dir by their paths: dir itself, or its
// children that hold a hospital.yaml.
func folders(dir string) (map[string]fs.FS, error) {
	if _, err := os.Stat(filepath.Join(dir, "hospital.yaml")); err == nil {
		return map[string]fs.FS{filepath.Clean(dir): os.DirFS(dir)}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the folder: %w", err)
	}
	all := map[string]fs.FS{}
	for _, e := range entries {
		child := filepath.Join(dir, e.Name())
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if _, err := os.Stat(filepath.Join(child, "hospital.yaml")); err == nil {
			all[child] = os.DirFS(child)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no hospital folder: give one with a hospital.yaml, or one that holds such folders", dir)
	}
	return all, nil
}
