package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"hishub/core"
)

// A name that is there twice is refused: the schema looks at the last of the two, and
// reading mixes both.
func TestNamesTwice(t *testing.T) {
	newHuma(http.NewServeMux(), "")
	text, err := json.Marshal(aPrescription())
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), `"items":`, `"items":[{"code":"XX","note":"遵医嘱"}],"items":`, 1))
	c := canonical[core.Prescription]{}
	if err := c.read(text); err != nil {
		t.Fatal(err)
	}
	errs := c.Resolve(nil)
	if len(errs) != 1 {
		t.Fatalf("%v", errs)
	}
	if p := problemsOf(errs); len(p) != 1 || p[0].Field != "items" || !strings.Contains(p[0].What, "twice") {
		t.Errorf("%+v", p)
	}
}
