// Package formats writes document trees as text and reads text as trees: xml,
// json, form, pairs, delimited, fixed and hl7v2. Everything here is UTF-8 text;
// charsets and framing are the connectors' business, and what a document means is
// the mapping's.
//
// Conventions all formats share when they read:
//
//   - a leaf is nil or text with its wire spelling, nothing is trimmed;
//   - repeated names become one core.List at the place of the first, a single
//     one stays what it is;
//   - text with invalid UTF-8 or with a NUL is refused, and so is what is
//     larger than MaxText or nested deeper than MaxDepth;
//   - only a format with the option lenient takes what is nearly right, and it can
//     say what it forgave; the same text is an error of the strict reader;
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
	// MaxForgiven is how many texts ReadForgiving gives at most.
	MaxForgiven = 20
)

// Format writes a document tree as text and reads text as a tree. A Format is
// immutable: one value serves any number of goroutines.
//
// Every error is an *Error.
type Format interface {
	Write(v core.Value) (string, error)
	Read(text string) (core.Value, error)
	// ReadForgiving is Read that also says what a lenient format forgave, each
	// with its place, as in "3:12: a comma is missing": at most MaxForgiven texts
	// without any value of the document. There are none if and only if the strict
	// format reads the same.
	ReadForgiving(text string) (v core.Value, forgiven []string, err error)
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
	{"pairs", pairsOptions, newPairs},
	{"delimited", delimitedOptions, newDelimited},
	{"fixed", fixedOptions, newFixed},
	{"hl7v2", hl7v2Options, newHL7v2},
}

// New returns the format of that name. Options come from YAML: text, bool, int,
// list, and map as map[string]any or, where the order counts, as core.Tree. All mistakes are reported at once, each an *OptionError.
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
