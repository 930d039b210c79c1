// Package regulator is the fake 省互联网医疗监管平台: it takes rows about
// prescriptions, checks them later and says of each what became of it. It changes
// nothing and knows no money.
package regulator

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/control"
	"hishub/mocks/fault"
)

// Options of the platform; the zero value is its original behaviour on free ports.
type Options struct {
	Listen  string        // "127.0.0.1:0"
	Control string        // "127.0.0.1:0"
	Latency time.Duration // how long each request takes to be served
	Seed    uint64
	Repeats books.Repeats // books.Same: a row that is there is taken again
	Inquiry string        // "truthful", or "none": nobody can ask what became of an upload
	App     string        // "ih1000001"
	Key     string        // "jianguan-test"
	// Checks is how often an upload is asked about before it has its verdict: 1;
	// negative for at once.
	Checks int
}

func (o Options) filled() (Options, error) {
	for _, f := range []struct {
		value    *string
		standard string
	}{
		{&o.Listen, "127.0.0.1:0"}, {&o.Control, "127.0.0.1:0"}, {&o.Inquiry, "truthful"}, {&o.App, "ih1000001"}, {&o.Key, "jianguan-test"},
	} {
		if *f.value == "" {
			*f.value = f.standard
		}
	}
	if o.Repeats == "" {
		o.Repeats = books.Same
	}
	if o.Checks == 0 {
		o.Checks = 1
	}
	if o.Inquiry != "truthful" && o.Inquiry != "none" {
		return o, fmt.Errorf("inquiry %q: want truthful or none", o.Inquiry)
	}
	return o, o.Repeats.Check()
}

// Platform is the running regulator.
type Platform struct {
	*control.Site
	options Options
	books   *books.Books
	uploads *uploads
	script  *fault.Script
}

// Start opens the platform and its control port. It runs until Close; the context
// only bounds the start.
func Start(_ context.Context, options Options) (*Platform, error) {
	options, err := options.filled()
	if err != nil {
		return nil, fmt.Errorf("regulator: %w", err)
	}
	p := &Platform{
		options: options,
		books:   books.New(options.Repeats),
		uploads: &uploads{byID: map[string]*upload{}, byRecipe: map[string]*upload{}},
		script:  fault.NewScript(options.Seed, fault.HTTPKinds),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/upload/{name}", p.serve)
	door, err := fault.OpenDoor(options.Listen, mux, p.script)
	if err != nil {
		return nil, fmt.Errorf("regulator: %w", err)
	}
	p.Site, err = control.Join(door, options.Control, p.books, p.script, nil)
	if err != nil {
		return nil, fmt.Errorf("regulator: %w", err)
	}
	return p, nil
}

// URL of the platform, without a slash at its end.
func (p *Platform) URL() string { return "http://" + p.Addr() }

// Options it runs with, those that were empty filled in.
func (p *Platform) Options() Options { return p.options }
