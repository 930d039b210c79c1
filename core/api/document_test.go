package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the golden files")

// TestOpenAPIDocument: the document changes only together with its golden, its
// schemas are valid JSON Schema, its references lead somewhere, and what the
// hub takes is what they describe.
func TestOpenAPIDocument(t *testing.T) {
	w := newWorld(t)
	a := w.do("", "GET", "/openapi.json", nil)
	if a.header.Get("Content-Type") != "application/openapi+json" {
		t.Errorf("Content-Type %q", a.header.Get("Content-Type"))
	}
	var got bytes.Buffer
	must(t, json.Indent(&got, []byte(a.text), "", "  "))
	got.WriteByte('\n')
	golden := filepath.Join("testdata", "openapi.json")
	if *update {
		must(t, os.WriteFile(golden, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("the API changed; look at it with: go test ./core/api -run TestOpenAPIDocument -update && git diff core/api/testdata")
	}

	var doc struct {
		OpenAPI    string `json:"openapi"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
		Paths map[string]map[string]struct {
			OperationID string           `json:"operationId"`
			Tags        []string         `json:"tags"`
			Summary     string           `json:"summary"`
			Right       string           `json:"x-right"`
			Parameters  []map[string]any `json:"parameters"`
			Responses   map[string]any   `json:"responses"`
		} `json:"paths"`
	}
	a.into(t, &doc)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %s", doc.OpenAPI)
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			name := strings.ToUpper(method) + " " + path
			if op.OperationID == "" || ids[op.OperationID] || len(op.Tags) != 1 || op.Summary == "" || op.Right == "" {
				t.Errorf("%s: incomplete, or its id %q is another's", name, op.OperationID)
			}
			ids[op.OperationID] = true
			in := map[any]bool{}
			for _, p := range op.Parameters {
				in[p["name"]] = true
			}
			for _, p := range regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(path, -1) {
				if !in[p[1]] {
					t.Errorf("%s: parameter %s is not described", name, p[1])
				}
			}
		}
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(a.text, -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("schema %s is referred to and missing", ref[1])
		}
	}

	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(a.text))
	must(t, err)
	must(t, compiler.AddResource("openapi.json", whole))
	for name := range doc.Components.Schemas {
		if _, err := compiler.Compile("openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
	for name, body := range map[string]any{"Payment": payment("A1"), "Prescription": prescription("R1")} {
		schema, err := compiler.Compile("openapi.json#/components/schemas/" + name)
		must(t, err)
		text, _ := json.Marshal(body)
		value, _ := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err := schema.Validate(value); err != nil {
			t.Errorf("a good %s does not fit its schema: %v", name, err)
		}
	}
}

func TestDocumentNeedsNothingFromOutside(t *testing.T) {
	w := newWorld(t)
	a := w.do("", "GET", "/docs", nil)
	if a.status != 200 || !strings.Contains(a.text, "/v1/hospitals/{hospital}/messages/payment.settle") || !strings.Contains(a.text, "problem-conflict") {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if strings.Contains(a.text, "<script") || regexp.MustCompile(`(src|href)="(https?:)?//`).MatchString(a.text) {
		t.Error("the page loads something, or runs a script")
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "script") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy %q", csp)
	}
	if a := w.do("", "GET", "/openapi.yaml", nil); a.status != 200 || !strings.HasPrefix(a.text, "components:") && !strings.Contains(a.text, "openapi: 3.1.0") {
		t.Errorf("yaml: %d %.80s", a.status, a.text)
	}
	if a := w.do("", "GET", "/problems/conflict", nil); a.status != http.StatusFound || a.header.Get("Location") != "/docs#problem-conflict" {
		t.Errorf("a problem's type leads to %d %s", a.status, a.header.Get("Location"))
	}
}
