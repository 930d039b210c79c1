// Package draft begins a hospital folder from what a hospital has: a WSDL, an
// OpenAPI file, recorded messages, a database. What can be guessed is written and
// marked "# guess"; what cannot is the word TODO, which the check of the folder
// lists with its place. The tables of words that it guesses by are in words.go
// and fields.go.
package draft

import "hishub/core"

// Offer is one thing that a HIS offers: a method, a path, a procedure, a table,
// or a message that was recorded.
type Offer struct {
	// Call is what an operation writes under call.
	Call string
	// Name is what the HIS calls it; a guess goes by it and by Words.
	Name  string
	Words string
	// Place is where it is described: file, or file:line.
	Place string
	// Send is the document that it takes, Answer the one that it gives.
	Send, Answer []Field
	// Sends is false where nothing tells what is sent; then it is asked for.
	Sends, Answers bool
	Query, Headers []Field
	// Refused says why it cannot be called.
	Refused string
	// Login: it gives a token that the others need.
	Login bool
	// Table is the shape of an insert, nil for anything else.
	Table *table
	// Sample is the recorded message that tells what is sent, Replies its answers.
	// Asked are the requests of answers that have one of their own, by variant.
	Sample  *seen
	Replies []*seen
	Asked   map[string]*seen

	entrance *entrance
	kind     core.Kind
	why      string
	// Path is the call as an expression, where the path has parameters.
	Path     string
	with     []entry // what the envelope takes as with.x
	envelope string  // if it is not that of the entrance
	// unwanted: its transaction is not among those that are asked for.
	unwanted bool
	// own cuts what is the envelope's off a recorded request.
	own func(body []Field, root string, attributes []Field) []Field
}

// Field is one named part of a document, in the order of the wire.
type Field struct {
	Name  string
	Type  string // the description's own word
	Words string // of its documentation or comment
	// Sample is the value that a recorded message has here.
	Sample string
	Seen   bool // there is a sample, which may be empty
	Bare   bool // in JSON, a number or truth without quotes
	// Optional: the description says that it may be left out.
	Optional bool
	List     bool
	Children []Field
	// Rows are the items of a recorded list, Children what any of them has.
	Rows [][]Field
	// Nested are the formats of a document inside the text, outermost first, as
	// "base64", "json"; Children is what is in it.
	Nested []string
	CData  bool
}

func (f Field) leaf() bool { return len(f.Children) == 0 }

// entrance is a connector with its envelope.
type entrance struct {
	name    string // of connector and envelope: default, or one of its own
	kind    string
	options []entry
	offers  []*Offer
	write   []entry  // the envelope's write
	answer  string   // the cell read.answer; "" is body itself
	ask     string   // why answer must be filled in
	rules   []entry  // the envelope's outcome
	fine    []string // the codes that say ok, and those that say no
	refused []string
	withs   []string // names that the envelope takes as with.x
	headers []entry
	// lone is the only parameter that all methods of a WSDL take, a text.
	lone string
}
