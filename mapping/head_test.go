package mapping

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/fstest"
)

// What a head says of the hours and limits of a shipped hospital is what its folder says.
func TestHeadIsThatOfTheFolder(t *testing.T) {
	folders, err := filepath.Glob("hospitals/*/hospital.yaml")
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	for _, f := range folders {
		folder := os.DirFS(filepath.Dir(f))
		head, err := Head(folder)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		whole, err := Load(folder, Options{Env: func(string) (string, bool) { return "1", true }})
		if err != nil {
			continue // its variables want more than a 1
		}
		d := whole.Dialect
		if head.Zone.String() != d.Zone.String() || head.Limits != d.Limits || !reflect.DeepEqual(head.Open, d.Open) || !reflect.DeepEqual(head.Maintenance, d.Maintenance) {
			t.Errorf("%s: %+v, %v, %v; want %+v, %v, %v", f, head.Limits, head.Open, head.Maintenance, d.Limits, d.Open, d.Maintenance)
		}
	}
	if _, err := Head(fstest.MapFS{}); err == nil {
		t.Error("a folder without hospital.yaml has a head")
	}
	if _, err := Head(fstest.MapFS{"hospital.yaml": {Data: []byte("- a\n")}}); err == nil {
		t.Error("a list has a head")
	}
}
