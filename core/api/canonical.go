package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core"
)

// canonical is a body of the catalogue as a request carries it. Its schema is
// that of the body's own type, and beside the schema it is checked by the body's
// own Validate, so that one answer names everything that is wrong.
type canonical[T any] struct {
	content T
	// slow is the JSON when it was not read in one pass.
	slow []byte
}

// reading is how the content of one type is read. Its operation skips huma's own
// validation, which reads everything twice more.
type reading struct {
	registry huma.Registry
	schema   *huma.Schema
	quick    quick
}

// readings by type; there are as many as kinds in the catalogue.
var readings sync.Map

func readingOf[T any]() *reading {
	t := reflect.TypeFor[T]()
	if found, ok := readings.Load(t); ok {
		return found.(*reading)
	}
	r := huma.NewMapRegistry("#/components/schemas/", schemaName)
	schema := r.Schema(t, true, "")
	made, _ := readings.LoadOrStore(t, &reading{r, schema, compile(t, schema, r)})
	return made.(*reading)
}

// read takes the JSON of a request. It leaves complaints to Resolve.
func (c *canonical[T]) read(data []byte) error {
	if q := readingOf[T]().quick; q == nil || !q.read(data, reflect.ValueOf(&c.content).Elem()) {
		c.slow = bytes.Clone(data)
	}
	return nil
}

// Schema implements huma.SchemaProvider.
func (*canonical[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// Resolve implements huma.Resolver.
func (c *canonical[T]) Resolve(huma.Context) (errs []error) {
	if c.slow != nil {
		var readable bool
		if readable, errs = c.readSlowly(); !readable {
			return errs
		}
	}
	switch err := c.body().Validate().(type) {
	case nil:
		return errs
	case core.Problems:
		for _, p := range err {
			errs = append(errs, (*fieldError)(&p))
		}
		return errs
	default:
		return append(errs, err)
	}
}

// readSlowly names all that the schema finds wrong. The content is not readable
// when some value has the wrong type: what came after it was perhaps not read, and
// sums would be wrong by what could not be.
func (c *canonical[T]) readSlowly() (readable bool, errs []error) {
	var parsed any
	if err := json.Unmarshal(c.slow, &parsed); err != nil {
		return false, []error{problem("malformed", "")}
	}
	if err := core.CheckNames(c.slow); err != nil {
		return false, fieldErrors(err.(core.Problems))
	}
	if found := nuls(c.slow); len(found) > 0 {
		return false, fieldErrors(found)
	}
	r := readingOf[T]()
	at, found := huma.NewPathBuffer(nil, 0), &huma.ValidateResult{}
	at.Push("body")
	huma.Validate(r.registry, r.schema, at, huma.ModeWriteToServer, parsed, found)
	var content T
	err := json.Unmarshal(c.slow, &content)
	c.content = content
	return err == nil, found.Errors
}

// fieldErrors are problems that the text itself shows.
func fieldErrors(ps core.Problems) (errs []error) {
	for _, p := range ps {
		errs = append(errs, (*fieldError)(&p))
	}
	return errs
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
	if err := core.CheckNames(content); err != nil {
		return nil, err
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
