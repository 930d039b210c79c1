// Package formats writes document trees as text and reads text as trees: xml,
// json, form and delimited. Everything here is UTF-8 text; charsets and framing
// are the connectors' business, and what a document means is the mapping's.
//
// Conventions all formats share when they read:
//
//   - a leaf is nil or text with its wire spelling, nothing is trimmed;
//   - repeated names become one core.List at the place of the first, a single
//     one stays what it is;
//   - text with invalid UTF-8 or with a NUL is refused, and so is what is
//     larger than MaxText or nested deeper than MaxDepth;
//   - leaves share the memory of the text they were read from: who keeps one for
//     long (a login token) keeps a strings.Clone of it;
//   - no error ever quotes a value, only names and places.
package formats

import (
	"fmt"
	"strings"

	"hishub/core"
)

const (
	// MaxText is the most a reader takes, in bytes.
	MaxText = 64 << 20
	// MaxDepth is how deep elements, objects and lists may be nested.
	MaxDepth = 64
)

// Format writes a document tree as text and reads text as a tree. A Format is
// immutable: one value serves any number of goroutines.
//
// Every error is an *Error.
type Format interface {
	Write(v core.Value) (string, error)
	Read(text string) (core.Value, error)
}

// Kind is one format with the options a hospital folder may give it.
type Kind struct {
	Name    string
	Options []Option
	build   func(settings) (Format, error)
}

// All is every format there is.
var All = []Kind{
	{"xml", xmlOptions, newXML},
	{"json", jsonOptions, newJSON},
	{"form", formOptions, newForm},
	{"delimited", delimitedOptions, newDelimited},
}

// New returns the format of that name. Options come from YAML: text, bool, list
// or map. All mistakes are reported at once, each an *OptionError.
func New(name string, options map[string]any) (Format, error) {
	names := make([]string, len(All))
	for i, kind := range All {
		if kind.Name == name {
			given, err := kind.check(options)
			if err != nil {
				return nil, err
			}
			return kind.build(given)
		}
		names[i] = kind.Name
	}
	return nil, fmt.Errorf("unknown format %q; there are %s", name, strings.Join(names, ", "))
}
