package api

import (
	"encoding/json"
	"testing"

	"hishub/core"
)

type repriced struct{}

func (repriced) Error() string { return "amount changed" }
func (repriced) Changed() core.AmountChange {
	return core.AmountChange{Field: "amount", Was: 1255, Is: 1300}
}

// A price that changed says both amounts to programs, not in words alone.
func TestAProblemSaysWhatChanged(t *testing.T) {
	text, err := json.Marshal(fromHuma(409, "the price changed from 12.55 to 13.00 yuan", repriced{}))
	must(t, err)
	want := `{"type":"/problems/state","title":"not possible in its present state","status":409,"detail":"the price changed from 12.55 to 13.00 yuan","changed":{"field":"amount","was":1255,"is":1300}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if p := fromHuma(409, "it is paid").(*Problem); p.Changed != nil {
		t.Errorf("%+v", p)
	}
}
