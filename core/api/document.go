package api

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed pages/*.html pages/style.css
var files embed.FS

// document serves the OpenAPI document as JSON and YAML, and as a page that
// needs nothing from anywhere else.
func document(mux *http.ServeMux, o *huma.OpenAPI) {
	finish(o)
	asJSON, err := json.Marshal(o)
	if err != nil {
		panic("write the OpenAPI document: " + err.Error())
	}
	asYAML, err := o.YAML()
	if err != nil {
		panic("write the OpenAPI document: " + err.Error())
	}
	page := renderDocument(o)
	serve := func(path, contentType string, content []byte) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write(content)
		})
	}
	serve("/openapi.json", "application/openapi+json", asJSON)
	serve("/openapi.yaml", "application/openapi+yaml", asYAML)
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		pageHeaders(w)
		_, _ = w.Write(page)
	})
	mux.HandleFunc("GET /problems/{name}", func(w http.ResponseWriter, r *http.Request) {
		for _, t := range problemTypes {
			if t.name == r.PathValue("name") {
				http.Redirect(w, r, "/docs#problem-"+t.name, http.StatusFound)
				return
			}
		}
		writeProblem(w, problem("not-found", ""))
	})
}

// finish says what huma does not know: that answers may get more fields one day
// while requests are taken as described and no other, and when to come again.
func finish(o *huma.OpenAPI) {
	strict := map[string]bool{}
	for _, path := range o.Paths {
		for _, op := range operationsOf(path) {
			if op.RequestBody != nil && op.RequestBody.Content["application/json"] != nil { // a picture is none
				within(o.Components.Schemas, op.RequestBody.Content["application/json"].Schema, strict)
			}
			for _, status := range []string{"429", "503"} {
				if answer := op.Responses[status]; answer != nil {
					answer.Headers = map[string]*huma.Param{"Retry-After": {Description: "seconds to wait", Schema: &huma.Schema{Type: huma.TypeInteger}}}
				}
			}
		}
	}
	for name, s := range o.Components.Schemas.Map() {
		if !strict[name] {
			s.AdditionalProperties = nil
		}
	}
}

// within gathers the names of the schemas that a schema is made of.
func within(r huma.Registry, s *huma.Schema, names map[string]bool) {
	if s == nil {
		return
	}
	if s.Ref != "" {
		name := s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		if !names[name] {
			names[name] = true
			within(r, r.SchemaFromRef(s.Ref), names)
		}
		return
	}
	within(r, s.Items, names)
	for _, p := range s.Properties {
		within(r, p, names)
	}
}

// What the page shows, in its order.
type (
	documentPage struct {
		Title, Version, Doc string
		Groups              []documentGroup
		Problems            []documentProblem
	}
	documentGroup struct {
		Name, Doc  string
		Operations []documentOperation
	}
	documentOperation struct {
		ID, Method, Path, Title, Doc string
		Roles                        []string
		Parameters                   []documentField
		Body, Answer                 []documentField
		AnswerStatus                 string
		Statuses                     []string
	}
	documentField struct {
		Depth          int
		Name, In, Type string
		Required       bool
		Doc            string
	}
	documentProblem struct {
		Name       string
		Status     int
		Title, Doc string
	}
)

func renderDocument(o *huma.OpenAPI) []byte {
	page := documentPage{Title: o.Info.Title, Version: o.Info.Version, Doc: o.Info.Description}
	for _, t := range problemTypes {
		page.Problems = append(page.Problems, documentProblem{t.name, t.status, t.title, t.doc})
	}
	for _, tag := range allTags(o) {
		group := documentGroup{Name: tag.Name, Doc: tag.Description}
		for _, path := range slices.Sorted(keysOf(o.Paths)) {
			for _, op := range operationsOf(o.Paths[path]) {
				if slices.Contains(op.Tags, tag.Name) {
					group.Operations = append(group.Operations, describe(o.Components.Schemas, path, op))
				}
			}
		}
		page.Groups = append(page.Groups, group)
	}
	t := template.Must(template.New("").Funcs(template.FuncMap{"lower": strings.ToLower}).ParseFS(files, "pages/frame.html", "pages/docs.html"))
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, "docs.html", page); err != nil {
		panic("render the document: " + err.Error())
	}
	return out.Bytes()
}

// allTags are the API's own, then those of other modules' operations.
func allTags(o *huma.OpenAPI) []*huma.Tag {
	all := slices.Clone(o.Tags)
	for _, path := range slices.Sorted(keysOf(o.Paths)) {
		for _, op := range operationsOf(o.Paths[path]) {
			for _, name := range op.Tags {
				if !slices.ContainsFunc(all, func(t *huma.Tag) bool { return t.Name == name }) {
					all = append(all, &huma.Tag{Name: name})
				}
			}
		}
	}
	return all
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func operationsOf(p *huma.PathItem) (ops []*huma.Operation) {
	for _, op := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete} {
		if op != nil {
			ops = append(ops, op)
		}
	}
	return ops
}

func describe(r huma.Registry, path string, op *huma.Operation) documentOperation {
	d := documentOperation{ID: op.OperationID, Method: op.Method, Path: path, Title: op.Summary, Doc: op.Description}
	d.Roles, _ = op.Extensions["x-roles"].([]string)
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, documentField{Name: p.Name, In: p.In, Type: typeOf(r, p.Schema), Required: p.Required, Doc: p.Description})
	}
	if op.RequestBody != nil {
		if content := op.RequestBody.Content["application/json"]; content != nil {
			d.Body = fields(r, content.Schema, 0, nil)
		}
	}
	for status, answer := range op.Responses {
		d.Statuses = append(d.Statuses, status)
		if content := answer.Content["application/json"]; content != nil && status[0] == '2' {
			d.Answer, d.AnswerStatus = fields(r, content.Schema, 0, nil), status
		}
	}
	sort.Strings(d.Statuses)
	return d
}

// fields lists a schema's properties, those of nested objects indented.
func fields(r huma.Registry, s *huma.Schema, depth int, above []string) (all []documentField) {
	for s != nil && s.Ref != "" {
		if slices.Contains(above, s.Ref) {
			return nil
		}
		above = append(above[:len(above):len(above)], s.Ref)
		s = r.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return nil
	}
	if s.Items != nil {
		return fields(r, s.Items, depth, above)
	}
	names := slices.Collect(keysOf(s.Properties))
	sort.Slice(names, func(i, j int) bool { // what must be there first
		a, b := slices.Contains(s.Required, names[i]), slices.Contains(s.Required, names[j])
		if a != b {
			return a
		}
		return names[i] < names[j]
	})
	for _, name := range names {
		p := s.Properties[name]
		all = append(all, documentField{Depth: depth, Name: name, Type: typeOf(r, p), Required: slices.Contains(s.Required, name), Doc: p.Description})
		all = append(all, fields(r, p, depth+1, above)...)
	}
	return all
}

func typeOf(r huma.Registry, s *huma.Schema) string {
	for s != nil && s.Ref != "" {
		s = r.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return ""
	}
	t := s.Type
	switch {
	case len(s.Enum) > 0:
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprint(v))
		}
		t = strings.Join(values, " | ")
	case s.Items != nil:
		t = "list of " + typeOf(r, s.Items)
	case s.Format != "":
		t = s.Format
	}
	if s.MaxLength != nil {
		t += fmt.Sprintf(", up to %d", *s.MaxLength)
	}
	return t
}
