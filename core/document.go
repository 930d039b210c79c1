package core

import "strings"

// Value is any node of a document tree: nil, text (string), Token, CData, Raw,
// List or Tree. Trees carry documents between the mapping, which writes and
// reads them, and the formats and connectors, which turn them into bytes.
//
// A leaf that was read from a HIS is always nil or a string with its wire
// spelling: "0", 0 and true in JSON all read as text. Tokens, CData and Raw
// appear only in documents that are to be written.
type Value = any

// Token is a bare word of the wire: a JSON number or boolean, spelled exactly
// as it shall stand there ("12.50", "true"). Formats without that distinction
// write it like text.
type Token string

// CData is text that an XML writer puts into a CDATA section, split where it
// holds "]]>". Other formats write it like text.
type CData string

// Raw is text that an XML writer puts out as it stands, unescaped, because the
// HIS parses it itself. Other formats write it like text.
type Raw string

// List is a repetition.
type List []Value

// Field is one named child of a Tree. Names starting with "." are attributes
// in XML ("." alone never occurs); "$text" is the text of an element that also
// has attributes.
type Field struct {
	Name  string
	Value Value
}

// Tree is an ordered list of named children. Names may repeat in a tree that
// is to be written; when a document is read, repeated names are gathered into
// one List at the place of the first.
type Tree []Field

// TextName names the text of an XML element that also has attributes.
const TextName = "$text"

// Get returns the child of that name, or nil: walking into what is not there
// is never an error. A child comes before an attribute of the same name.
func (t Tree) Get(name string) Value {
	for i := range t {
		if t[i].Name == name {
			return t[i].Value
		}
	}
	for i := range t {
		if n := t[i].Name; len(n) == len(name)+1 && n[0] == '.' && n[1:] == name {
			return t[i].Value
		}
	}
	return nil
}

// Has reports whether there is a child (not an attribute) of that name.
func (t Tree) Has(name string) bool {
	for i := range t {
		if t[i].Name == name {
			return true
		}
	}
	return false
}

// Text is the text of a leaf: "" for nil, the spelling of text, Token, CData
// and Raw, the "$text" of an element with attributes. ok is false for lists
// and for trees without text.
func Text(v Value) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case Token:
		return string(v), true
	case CData:
		return string(v), true
	case Raw:
		return string(v), true
	case Tree:
		if t, ok := v.Get(TextName).(string); ok {
			return t, true
		}
		return "", v.onlyAttributes()
	}
	return "", false
}

func (t Tree) onlyAttributes() bool {
	for i := range t {
		if !strings.HasPrefix(t[i].Name, ".") {
			return false
		}
	}
	return true
}
