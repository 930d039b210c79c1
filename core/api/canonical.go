package api

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core"
)

// canonical is a body of the catalogue as a request carries it. Its schema is
// that of the body's own type, and beside the schema it is checked by the body's
// own Validate, so that one answer names everything that is wrong.
type canonical[T any] struct {
	content T
	// shapeless: some value has the wrong type, and what came after it was perhaps
	// not read. The schema names it; the content is not judged, because sums would
	// be wrong by what could not be read.
	shapeless bool
}

// UnmarshalJSON implements json.Unmarshaler. It leaves complaints to the schema,
// which names all of them.
func (c *canonical[T]) UnmarshalJSON(data []byte) error {
	c.shapeless = json.Unmarshal(data, &c.content) != nil
	return nil
}

// Schema implements huma.SchemaProvider.
func (*canonical[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// Resolve implements huma.Resolver.
func (c *canonical[T]) Resolve(huma.Context) (errs []error) {
	if c.shapeless {
		return nil
	}
	switch err := c.body().Validate().(type) {
	case nil:
		return nil
	case core.Problems:
		for _, p := range err {
			errs = append(errs, (*fieldError)(&p))
		}
		return errs
	default:
		return []error{err}
	}
}

func (c *canonical[T]) body() core.Body { return any(&c.content).(core.Body) }

// correction reads the content of a message of that kind, naming everything that
// is wrong with it.
func (a *api) correction(kind core.Kind, content json.RawMessage) (core.Body, error) {
	t, _ := core.Lookup(kind)
	registry := a.huma.OpenAPI().Components.Schemas
	schema := registry.Schema(reflect.TypeOf(t.Body()).Elem(), true, "")
	var parsed any
	if err := json.Unmarshal(content, &parsed); err != nil {
		return nil, problem("malformed", "")
	}
	at, found := huma.NewPathBuffer(nil, 0), &huma.ValidateResult{}
	at.Push("body")
	at.Push("correction")
	huma.Validate(registry, schema, at, huma.ModeWriteToServer, parsed, found)
	body := t.Body()
	if err := json.Unmarshal(content, body); err == nil {
		if wrong, ok := body.Validate().(core.Problems); ok {
			for _, p := range wrong {
				found.Errors = append(found.Errors, &fieldError{Field: "correction." + p.Field, What: p.What})
			}
		}
	} else if len(found.Errors) == 0 {
		return nil, problem("malformed", "")
	}
	if len(found.Errors) > 0 {
		return nil, invalid(problemsOf(found.Errors))
	}
	return body, nil
}
