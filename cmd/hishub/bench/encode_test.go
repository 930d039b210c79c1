package bench

import (
	"testing"
	"time"
)

// TestEncoding: both sides write the same document, and both are measured.
func TestEncoding(t *testing.T) {
	e, err := encoding(20 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if e.Document.Ratio() <= 0 || e.Envelope.Ratio() <= 0 || e.Bytes < 1000 {
		t.Errorf("%+v", e)
	}
	t.Log(e)
}
