package mapping

import (
	"bytes"
	"os"
	"testing"
)

// TestSchemaIsPublished keeps docs/hospital-folder.schema.json, which editors
// use, the one that this program checks by. `go test ./mapping -update` writes it.
func TestSchemaIsPublished(t *testing.T) {
	const file = "../docs/hospital-folder.schema.json"
	if *update {
		if err := os.WriteFile(file, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(published, Schema()) {
		t.Errorf("%s is not what the program says; run go test ./mapping -update", file)
	}
}
