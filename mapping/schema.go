package mapping

import (
	"encoding/json"
	"strings"

	"hishub/core"
)

// Schema is the JSON Schema of the YAML files of a hospital folder, for editors:
// of hospital.yaml where there is a key "grammar", else of a file of operations.
func Schema() []byte {
	defs := map[string]any{
		"value":    map[string]any{"description": "a document in the shape it has on the wire; text that starts with = is an expression"},
		"cell":     map[string]any{"type": []string{"string", "number", "boolean", "null"}, "description": "literal text, or = and an expression"},
		"cond":     map[string]any{"type": []string{"string", "boolean"}, "description": "a condition, without ="},
		"duration": map[string]any{"type": "string", "pattern": `^[0-9]+(\.[0-9]+)?(ms|s|m|h)([0-9]+(ms|s|m))*$`},
	}
	for _, t := range []*table{hospitalTable, operationTable} {
		define(defs, t)
	}
	operations := map[string]any{}
	for _, t := range core.Catalogue {
		if !mapped(t) {
			continue
		}
		operations[string(t.Kind)] = map[string]any{"$ref": "#/$defs/operation", "description": t.Title}
	}
	defs["used"] = map[string]any{"type": "object", "properties": map[string]any{useWord: map[string]any{"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "minItems": 1}}}}, "required": []string{useWord}, "additionalProperties": false}
	defs["operations"] = map[string]any{"type": "object", "properties": operations, "additionalProperties": false}
	schema := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "hospital folder",
		"if":      map[string]any{"required": []string{"grammar"}},
		"then":    map[string]any{"$ref": "#/$defs/hospital"},
		"else":    map[string]any{"$ref": "#/$defs/operations"},
		"$defs":   defs,
	}
	b, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic(err) // maps of strings always encode
	}
	return append(b, '\n')
}

func define(defs map[string]any, t *table) {
	if _, ok := defs[t.name]; ok {
		return
	}
	properties := map[string]any{}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	defs[t.name] = out
	var required []string
	for _, k := range t.keys {
		p := k.shape.schema(defs)
		p["description"] = k.doc
		properties[k.name] = p
		if k.required {
			required = append(required, k.name)
		}
	}
	if required != nil {
		out["required"] = required
	}
}

func (s shape) schema(defs map[string]any) map[string]any {
	ref := func(name string) map[string]any { return map[string]any{"$ref": "#/$defs/" + name} }
	switch s.kind {
	case textShape:
		if s.words != nil {
			var words []any
			for _, w := range s.words {
				words = append(words, w)
				if strings.Trim(w, "0123456789") == "" {
					words = append(words, json.Number(w))
				}
			}
			return map[string]any{"enum": words}
		}
		return map[string]any{"type": []string{"string", "number", "boolean"}}
	case cellShape:
		return ref("cell")
	case condShape, ruleShape:
		return ref("cond")
	case durationShape:
		return ref("duration")
	case flagShape:
		return map[string]any{"type": "boolean"}
	case numberShape:
		return map[string]any{"type": "integer", "minimum": 1}
	case mapShape:
		return map[string]any{"type": "object", "additionalProperties": s.of.schema(defs)}
	case listShape:
		list := map[string]any{"type": "array", "items": s.of.schema(defs)}
		if s.of.kind != sectionShape {
			return list
		}
		return map[string]any{"anyOf": []any{list, ref("used")}} // the parts of several answers are alike
	case sectionShape:
		define(defs, s.table)
		return ref(s.table.name)
	case optionsShape:
		return map[string]any{"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": map[string]any{"type": []string{"object", "null"}}}
	case accountShape:
		return map[string]any{
			"type": "object", "minProperties": 1, "maxProperties": 1, "properties": map[string]any{"ask": map[string]any{"type": "string"}},
			"additionalProperties": map[string]any{"type": []string{"object", "null"}},
		}
	case inquireShape:
		define(defs, s.table)
		return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, ref(s.table.name)}}
	}
	return ref("value")
}
