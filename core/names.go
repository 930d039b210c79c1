package core

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// repeatedName finds a name that an object of a JSON document has twice, also in other
// case: which of the two values counts would depend on who reads it. field is its path,
// as items[1].code; "" when there is none, or the document cannot be read.
func repeatedName(data []byte) (field string) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	type level struct {
		path  string
		names map[string]bool // nil in an array
		name  string          // whose value comes next
		named bool
		index int
	}
	var stack []level
	at := func() string { // the path of the value that comes next
		if len(stack) == 0 {
			return ""
		}
		l := &stack[len(stack)-1]
		if l.names == nil {
			return fmt.Sprintf("%s[%d]", l.path, l.index)
		}
		if l.path == "" {
			return l.name
		}
		return l.path + "." + l.name
	}
	for {
		t, err := d.Token()
		if err != nil {
			return ""
		}
		if n := len(stack); n > 0 && stack[n-1].names != nil && !stack[n-1].named {
			if name, ok := t.(string); ok {
				l := &stack[n-1]
				l.name, l.named = name, true
				folded := strings.ToLower(name)
				if l.names[folded] {
					return at()
				}
				l.names[folded] = true
				continue
			}
		}
		switch t {
		case json.Delim('{'):
			stack = append(stack, level{path: at(), names: map[string]bool{}})
			continue
		case json.Delim('['):
			stack = append(stack, level{path: at()})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if n := len(stack); n > 0 { // a value is over
			stack[n-1].named = false
			stack[n-1].index++
		}
	}
}

// CheckNames refuses a JSON document in which an object has a name twice.
func CheckNames(data []byte) error {
	if field := repeatedName(data); field != "" {
		return Problems{{Field: field, What: "is there twice; which of the two counts cannot be known"}}
	}
	return nil
}
