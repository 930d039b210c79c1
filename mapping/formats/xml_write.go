package formats

import (
	"fmt"
	"strings"

	"hishub/core"
)

type xmlWriter struct {
	format *xmlFormat
	out    []byte
}

func (w *xmlWriter) document(v core.Value) *Error {
	tree, ok := v.(core.Tree)
	if !ok || len(tree) != 1 {
		return wrong("wants a map with one root")
	}
	root := tree[0]
	if list, ok := root.Value.(core.List); ok {
		if len(list) != 1 {
			return wrong("the root may stand only once").under(root.Name)
		}
		root.Value = list[0]
	}
	w.out = append(w.out, w.format.prolog...)
	return w.element(root.Name, root.Value, 1, false).under(root.Name)
}

// child writes a field of a tree: one element, or one for each item of a list.
func (w *xmlWriter) child(f core.Field, depth int, onOwnLine bool) *Error {
	list, ok := f.Value.(core.List)
	if !ok {
		if w.format.dropEmpty && isEmpty(f.Value) {
			return nil
		}
		return w.element(f.Name, f.Value, depth, onOwnLine).under(f.Name)
	}
	for i, item := range list {
		if w.format.dropEmpty && isEmpty(item) {
			continue
		}
		if err := w.element(f.Name, item, depth, onOwnLine); err != nil {
			return err.underItem(i).under(f.Name)
		}
	}
	return nil
}

func (w *xmlWriter) element(name string, v core.Value, depth int, onOwnLine bool) *Error {
	if depth > MaxDepth {
		return wrong(fmt.Sprintf("is nested deeper than %d", MaxDepth))
	}
	if !isXMLName(name) {
		return wrong("is not a name that an XML element can have")
	}
	if onOwnLine {
		w.newLine(depth)
	}
	w.out = append(w.out, '<')
	w.out = append(w.out, name...)
	tree, isTree := v.(core.Tree)
	if isTree {
		if err := w.attributes(tree); err != nil {
			return err
		}
	}
	w.out = append(w.out, '>')
	begin := len(w.out)
	var err *Error
	if isTree {
		err = w.content(tree, depth)
	} else {
		err = w.text(v)
	}
	if err != nil {
		return err
	}
	if len(w.out) == begin && w.format.selfClose {
		w.out = append(w.out[:begin-1], "/>"...)
		return nil
	}
	w.out = append(w.out, "</"...)
	w.out = append(w.out, name...)
	w.out = append(w.out, '>')
	return nil
}

func (w *xmlWriter) attributes(tree core.Tree) *Error {
	for i, f := range tree {
		if f.Name == "" || f.Name[0] != '.' {
			continue
		}
		if w.format.dropEmpty && isEmpty(f.Value) {
			continue
		}
		name := f.Name[1:]
		if !isXMLName(name) {
			return wrong("is not a name that an XML attribute can have").under(f.Name)
		}
		for _, earlier := range tree[:i] {
			if earlier.Name == f.Name {
				return wrong("is an attribute that stands twice").under(f.Name)
			}
		}
		value, err := leaf(f.Value, w.format.nilAs)
		if err != nil {
			return err.under(f.Name)
		}
		w.out = append(w.out, ' ')
		w.out = append(w.out, name...)
		w.out = append(w.out, `="`...)
		if err := w.escape(value, true); err != nil {
			return err.under(f.Name)
		}
		w.out = append(w.out, '"')
	}
	return nil
}

func (w *xmlWriter) content(tree core.Tree, depth int) *Error {
	// White space beside text would become part of it.
	onOwnLine := w.format.indent && !tree.Has(core.TextName)
	begin := len(w.out)
	for _, f := range tree {
		var err *Error
		switch {
		case f.Name != "" && f.Name[0] == '.':
			continue
		case f.Name == core.TextName:
			err = w.text(f.Value).under(f.Name)
		default:
			err = w.child(f, depth+1, onOwnLine)
		}
		if err != nil {
			return err
		}
	}
	if onOwnLine && len(w.out) > begin {
		w.newLine(depth)
	}
	return nil
}

func (w *xmlWriter) newLine(depth int) {
	w.out = append(w.out, '\n')
	for range depth - 1 {
		w.out = append(w.out, "  "...)
	}
}

func (w *xmlWriter) text(v core.Value) *Error {
	text, err := leaf(v, w.format.nilAs)
	if err != nil || text == "" {
		return err
	}
	if raw, ok := v.(core.Raw); ok {
		if xmlForbiddenIn(text) >= 0 {
			return wrong(xmlForbiddenReason)
		}
		w.out = append(w.out, raw...)
		return nil
	}
	if _, ok := v.(core.CData); ok || w.format.cdata {
		return w.cdata(text)
	}
	return w.escape(text, false)
}

// cdata ends a section inside each "]]>" and goes on in the next one.
func (w *xmlWriter) cdata(text string) *Error {
	if xmlForbiddenIn(text) >= 0 {
		return wrong(xmlForbiddenReason)
	}
	w.out = append(w.out, "<![CDATA["...)
	for {
		before, after, found := strings.Cut(text, "]]>")
		w.out = append(w.out, before...)
		if !found {
			break
		}
		w.out = append(w.out, "]]]]><![CDATA[>"...)
		text = after
	}
	w.out = append(w.out, "]]>"...)
	return nil
}

func (w *xmlWriter) escape(text string, attribute bool) *Error {
	done := 0
	for i := 0; i < len(text); i++ {
		class := xmlClass[text[i]]
		if class == xmlPlain {
			continue
		}
		switch {
		case class == xmlForbidden || class == xmlEF:
			if xmlForbiddenAt(text, i) {
				return wrong(xmlForbiddenReason)
			}
			continue
		case class == xmlQuote && !attribute:
			continue
		}
		w.out = append(w.out, text[done:i]...)
		w.out = append(w.out, xmlEntity(text[i])...)
		done = i + 1
	}
	w.out = append(w.out, text[done:]...)
	return nil
}

func xmlEntity(c byte) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '"':
		return "&quot;"
	case '\t':
		return "&#x9;"
	case '\n':
		return "&#xA;"
	}
	return "&#xD;"
}
