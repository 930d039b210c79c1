package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hishub/platform/console"
)

var updateConsole = flag.Bool("update-console", false, "write the API's document for the console's types; make web does")

// shape is what the console relies on: which operations there are, and what they take.
type shape struct {
	Paths map[string]map[string]struct {
		Request   content `json:"requestBody"`
		Responses map[string]content
	}
	Components struct {
		Schemas map[string]struct {
			Properties map[string]json.RawMessage
			Required   []string
		}
	}
}

type content struct {
	Content map[string]struct {
		Schema struct {
			Ref string `json:"$ref"`
		}
	}
}

func (c content) schema() string {
	ref := c.Content["application/json"].Schema.Ref
	return ref[strings.LastIndexByte(ref, '/')+1:]
}

// The console's types were made from a document that the API still keeps: operations may
// come, and answers may get more; what the console calls may not go, nor ask for more.
func TestConsoleSpeaksTheAPI(t *testing.T) {
	o := newOffice(t, "")
	is := o.ask("", "GET", "/openapi.json", nil)
	path := filepath.Join("..", "..", "platform", "console", "web", "openapi.json")
	if *updateConsole {
		var tidy any
		ok(t, json.Unmarshal([]byte(is.text), &tidy))
		text, err := json.MarshalIndent(tidy, "", " ")
		ok(t, err)
		ok(t, os.WriteFile(path, append(text, '\n'), 0o644))
	}
	text, err := os.ReadFile(path)
	ok(t, err)
	var was, now shape
	ok(t, json.Unmarshal(text, &was))
	ok(t, json.Unmarshal([]byte(is.text), &now))
	if len(was.Paths) < 100 {
		t.Fatalf("the console knows only %d addresses", len(was.Paths))
	}
	for p, methods := range was.Paths {
		for m, op := range methods {
			if _, there := now.Paths[p][m]; !there {
				t.Errorf("%s %s is gone; make web tells where the console calls it", strings.ToUpper(m), p)
				continue
			}
			for _, field := range now.Components.Schemas[now.Paths[p][m].Request.schema()].Required {
				if !slices.Contains(was.Components.Schemas[op.Request.schema()].Required, field) {
					t.Errorf("%s %s demands %s by now: make web", strings.ToUpper(m), p, field)
				}
			}
		}
	}

	// A session's token never reaches a script of the console.
	for p, methods := range now.Paths {
		for m, op := range methods {
			for status, answer := range op.Responses {
				fields := now.Components.Schemas[answer.schema()].Properties
				_, token := fields["token"]
				_, ends := fields["ends_at"]
				name := strings.ToUpper(m) + " " + p
				if status[0] == '2' && token && ends && name != "POST /clinic/v1/sessions/phone" && !slices.Contains(console.Opens, name) {
					t.Errorf("%s answers with a session's token, and the console does not put it away", name)
				}
			}
		}
	}
}
