// Package mapping compiles a hospital folder into a core.Dialect: what is said
// to a HIS for each transaction and what its answers mean, written as YAML. It
// does no I/O after Load. docs/hospital-folder.md is the reference of the
// grammar.
package mapping

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a folder's zone must not depend on the machine

	"github.com/expr-lang/expr"

	"hishub/core"
	"hishub/mapping/codes"
)

const hospitalFile = "hospital.yaml"

// Options are what the loader needs from outside.
type Options struct {
	// Env gives environment variables for ${NAME}. nil: none is set.
	Env func(name string) (string, bool)
	// Unset is what to do about a variable that is not set; "set it" if empty.
	Unset string
	// Open opens a connector without touching the network. An error may be
	// core.Problems, whose fields are paths of options ("charset"). It may be nil;
	// then options, operation names and parameters are not checked, and cases
	// cannot run.
	Open func(core.ConnectorSpec) (core.Connector, error)
	// OpenChannel opens a payment channel's account as Open opens a connector. It
	// may be nil; then options of channels are not checked.
	OpenChannel func(core.ConnectorSpec) (core.Connector, error)
	// Listen makes a listener of its options, with errors like those of Open. It
	// may be nil; then options are not checked, and nothing can be listened to.
	Listen func(core.ListenerSpec) (core.Listening, error)
	// Backwards keeps what Folder.Mirror needs. It costs time and memory, so that
	// only who plays a folder asks for it.
	Backwards bool
}

// Folder is a hospital folder without mistakes.
type Folder struct {
	Dialect *core.Dialect
	// Warnings are what a person should look at; the folder works all the same.
	Warnings []Mistake
	// Files are the files that were read, sorted.
	Files []string

	files   fs.FS
	options Options
	loaded  *loader // kept for Mirror
}

// Load compiles a folder. The error is Mistakes: all of them, in file order.
func Load(folder fs.FS, o Options) (*Folder, error) {
	if o.Env == nil {
		o.Env = func(string) (string, bool) { return "", false }
	}
	l := &loader{findings: &findings{}, files: folder, options: o, zone: time.UTC}
	dialect := l.load()
	all := l.all.sorted()
	if l.wrong() {
		return nil, all
	}
	_, digest, err := Archive(folder)
	if err != nil {
		return nil, Mistakes{{File: ".", Line: 1, Column: 1, What: err.Error()}}
	}
	dialect.Digest = digest
	out := &Folder{Dialect: dialect, Warnings: all, Files: l.read, files: folder, options: o}
	if o.Backwards {
		out.loaded = l
	}
	return out, nil
}

// loader is the work of one Load.
type loader struct {
	*findings
	files   fs.FS
	options Options
	read    []string

	hospital    map[string]*node // sections of hospital.yaml
	zone        *time.Location
	language    []expr.Option   // the functions that a cell may call, and their rules
	words       map[string]bool // their names
	formats     map[string]textFormat
	readers     map[string]*namedFormat // by from_<format>
	codes       map[string]*codeTable
	constants   map[string]member
	secrets     map[string]member
	masked      []string
	connectors  map[string]*connector
	envelopes   map[string]*envelope
	sessions    map[string]*session
	operations  map[core.Kind]*operation
	listeners   map[string]*listener
	withNames   map[string]bool
	fragments   map[string]*fragment
	inFragments int // nodes that came from them

	cell pos // the cell that is being compiled
}

// load reads like the folder: the hospital, what its operations share, then the
// operations, each compiled against the names that it may use.
func (l *loader) load() *core.Dialect {
	documents := l.readFiles()
	if l.hospital == nil {
		return nil
	}
	d := &core.Dialect{Operations: map[core.Kind]*core.Operation{}, Sessions: map[string]*core.Session{}, Listeners: map[string]*core.Listener{}}
	l.readHospital(d)
	l.codes = readCodes(l.files, l.zone, l.findings)
	l.readFormats()
	l.readConnectors(d)
	defer l.closeConnectors()
	l.readFragments()
	l.readEnvelopes()
	l.readSessions()
	l.readListeners()
	l.readOperations(documents)
	l.readChannels(d)
	l.readReconcile(d)
	d.Secrets = l.masked

	for _, s := range sortedByName(l.sessions) {
		d.Sessions[s.name] = l.compileSession(s)
	}
	for _, t := range core.Catalogue {
		if o := l.operations[t.Kind]; o != nil && t.Mode != core.Inbound {
			d.Operations[t.Kind] = l.compileOperation(o)
		}
	}
	// Inquiries need the questions that they ask.
	for _, t := range core.Catalogue {
		if o := l.operations[t.Kind]; o != nil {
			l.compileInquiries(o, d)
		}
	}
	l.compileListeners(d)
	l.compileUnused()
	checkCodes(l.codes, l.findings)
	d.Codes = map[string]core.CodeTable{}
	for name, t := range l.codes {
		t.lookup(true, codes.Theirs)
		d.Codes[name] = t
	}
	if !l.wrong() {
		// Not before all else is right: the mistakes may hide the uses.
		l.unused()
		l.unusedFragments()
	}
	return d
}

// readFiles parses hospital.yaml and gives the documents of the other files.
func (l *loader) readFiles() []*node {
	entries, err := fs.ReadDir(l.files, ".")
	if err != nil {
		l.mistake(pos{".", 1, 1}, "", "the folder cannot be read: %v", cause(err))
		return nil
	}
	var documents []*node
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || hidden(name) {
			continue
		}
		if path.Ext(name) == ".yml" {
			l.warn(pos{name, 1, 1}, "name it .yaml", "the file is not read")
		}
		if path.Ext(name) != ".yaml" {
			continue
		}
		data, err := readRegular(l.files, name)
		if err != nil {
			l.mistake(pos{name, 1, 1}, "", "the file cannot be read: %v", cause(err))
			continue
		}
		l.read = append(l.read, name)
		n := parseYAML(name, string(data), l.findings)
		switch {
		case name == hospitalFile && n == nil:
			if len(l.all) == 0 {
				l.mistake(pos{name, 1, 1}, "", "the file is empty")
			}
			return nil
		case name == hospitalFile:
			if l.hospital = l.section(n, hospitalTable); l.hospital == nil {
				return nil
			}
		case n != nil:
			documents = append(documents, n)
		}
	}
	if !slices.Contains(l.read, hospitalFile) {
		l.mistake(pos{hospitalFile, 1, 1}, "write grammar: 1, hospital, name and connectors", "the folder has no hospital.yaml")
	}
	return documents
}

// hidden files belong to editors and version control.
func hidden(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || strings.HasSuffix(base, "~")
}

func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
