package mapping

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"hishub/core"
)

// Spell writes a computed value for people: text as it stands, bytes as hex, a
// document as YAML in its own order. kind is text, bytes, tree, money, time or
// nothing.
func Spell(v any) (kind, text string) {
	switch v := v.(type) {
	case nil, absence:
		return "nothing", ""
	case []byte:
		return "bytes", hex.EncodeToString(v)
	case core.Fen:
		return "money", v.String()
	case time.Time:
		return "time", v.Format(time.RFC3339)
	case core.Tree, core.List, []any, []string:
		var b strings.Builder
		spellYAML(&b, v, 0, false)
		return "tree", strings.TrimPrefix(b.String(), "\n")
	}
	if text, ok := core.Text(v); ok {
		return "text", text
	}
	switch reflect.ValueOf(v).Kind() {
	case reflect.Pointer, reflect.Struct, reflect.Slice, reflect.Map:
		b, err := json.Marshal(v)
		if err != nil {
			return "tree", "(cannot be shown)"
		}
		return "tree", string(b)
	}
	return "text", fmt.Sprint(v)
}

// spellYAML writes a node behind its name; top-level ones begin with a line end.
func spellYAML(b *strings.Builder, v any, depth int, inItem bool) {
	indent := strings.Repeat("  ", depth)
	switch v := v.(type) {
	case core.Tree:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		for i, f := range v {
			switch {
			case i > 0:
				b.WriteString(indent)
			case inItem:
				b.WriteByte(' ')
			default:
				b.WriteString("\n" + indent)
			}
			b.WriteString(yamlWord(f.Name) + ":")
			spellYAML(b, f.Value, depth+1, false)
		}
	case core.List:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteByte('\n')
		for _, e := range v {
			b.WriteString(indent + "-")
			spellYAML(b, e, depth+1, true)
		}
	case []any:
		spellYAML(b, core.List(v), depth, inItem)
	case []string:
		list := make(core.List, len(v))
		for i := range v {
			list[i] = v[i]
		}
		spellYAML(b, list, depth, inItem)
	case nil, absence:
		b.WriteByte('\n')
	case core.Token:
		b.WriteString(" " + string(v) + "\n")
	default:
		_, text := Spell(v)
		b.WriteString(" " + yamlWord(text) + "\n")
	}
}

// yamlWord quotes what YAML would not read as this text.
func yamlWord(s string) string {
	plain := s != "" && s == strings.TrimSpace(s) && !strings.ContainsAny(s, "\n\r\t\"'\\") &&
		!strings.ContainsAny(s[:1], "-?:,[]{}#&*!|>%@`=~") && !strings.Contains(s, ": ") && !strings.Contains(s, " #") && !strings.HasSuffix(s, ":")
	for _, r := range s {
		plain = plain && strconv.IsPrint(r)
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		plain = false
	}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text is always JSON, and JSON is YAML
	return strings.TrimSuffix(b.String(), "\n")
}
