package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hishub/mapping"
	"hishub/mapping/draft"
)

// drafted drafts a folder, writes it, and gives its open points; anything else that
// its check finds is an error of the draft.
func drafted(t *testing.T, c *hospitalNew) (open []mapping.Mistake) {
	t.Helper()
	c.Dir, c.ID, c.Name = filepath.Join(t.TempDir(), "new"), "new", "新院"
	sources, err := c.sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := draft.New(sources)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.write(f); err != nil {
		t.Fatal(err)
	}
	for _, m := range checkFolder(c.Dir, os.DirFS(c.Dir)).Mistakes {
		switch m := mapping.Mistake(m); {
		case m.Unfilled():
			open = append(open, m)
		case !m.Warning:
			t.Errorf("%s\n%s", m, f.Files[m.File])
		}
	}
	return open
}

func TestEveryWSDLHereCanBeDrafted(t *testing.T) {
	var all []string
	for _, pattern := range []string{"../../connectors/soap/testdata/*.wsdl", "../../connectors/soap/testdata/lab/*.wsdl", "../../mapping/hospitals/*/*.wsdl"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		all = append(all, found...)
	}
	for _, name := range all {
		t.Run(name, func(t *testing.T) {
			if open := drafted(t, &hospitalNew{WSDL: []string{name}}); len(open) == 0 {
				t.Error("nothing is open, which cannot be")
			}
		})
	}
	t.Run("two at once", func(t *testing.T) {
		drafted(t, &hospitalNew{WSDL: []string{all[0], all[len(all)-1]}})
	})
	t.Run("with everything else", func(t *testing.T) {
		at := "../../mapping/draft/testdata/"
		drafted(t, &hospitalNew{
			WSDL: []string{"../../mapping/hospitals/beicheng/his.wsdl"}, OpenAPI: []string{at + "openapi/clinic30.yaml"}, DB: []string{at + "sql/mysql.sql"},
			Sample: []string{at + "samples/prescribe.request.hl7", at + "samples/prescribe.response.hl7"},
		})
	})
}

func TestTwoHundredOperationsStayReadable(t *testing.T) {
	var types, messages, port, binding strings.Builder
	for i := range 200 {
		name := fmt.Sprintf("Method%d", i)
		fmt.Fprintf(&types, `<xs:element name="%s"><xs:complexType><xs:sequence>`, name)
		for j := range 30 {
			fmt.Fprintf(&types, `<xs:element name="parameter%d" type="xs:string"/>`, j)
		}
		types.WriteString(`</xs:sequence></xs:complexType></xs:element>`)
		fmt.Fprintf(&messages, `<message name="%s"><part name="p" element="t:%s"/></message>`, name, name)
		fmt.Fprintf(&port, `<operation name="%s"><input message="t:%s"/></operation>`, name, name)
		fmt.Fprintf(&binding, `<operation name="%s"><s:operation soapAction=""/><input><s:body use="literal"/></input></operation>`, name)
	}
	wsdl := filepath.Join(t.TempDir(), "many.wsdl")
	text := `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:t="urn:t" targetNamespace="urn:t" xmlns:xs="http://www.w3.org/2001/XMLSchema"><types><xs:schema targetNamespace="urn:t">` +
		types.String() + `</xs:schema></types>` + messages.String() + `<portType name="P">` + port.String() + `</portType><binding name="B" type="t:P"><s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>` + binding.String() + `</binding></definitions>`
	if err := os.WriteFile(wsdl, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &hospitalNew{WSDL: []string{wsdl}}
	drafted(t, c)
	pages, _ := filepath.Glob(filepath.Join(c.Dir, "offered*.yaml"))
	if len(pages) < 3 {
		t.Errorf("200 methods are in %d files", len(pages))
	}
	for _, p := range pages {
		if info, err := os.Stat(p); err != nil || info.Size() > 80<<10 {
			t.Errorf("%s: %v, too large to read", p, info.Size())
		}
	}
}
