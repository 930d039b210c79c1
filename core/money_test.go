package core

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestLineAmount(t *testing.T) {
	for _, c := range []struct {
		qty, price string
		want       Fen
	}{
		{"12", "1.7917", 2150}, // 21.5004
		{"2", "12.345", 2469},
		{"1", "0.005", 1}, // half up
		{"3", "0.0049", 1},
		{"0.5", "0.01", 1},
		{"1", "0", 0},
	} {
		got, err := LineAmount(c.qty, c.price)
		if err != nil || got != c.want {
			t.Errorf("%s x %s = %d, %v; want %d", c.qty, c.price, got, err, c.want)
		}
	}
}

func TestParseYuan(t *testing.T) {
	for text, want := range map[string]Fen{"21.5": 2150, "500": 50000, "0.0": 0, "10.00": 1000, "-0.30": -30, "1.100": 110} {
		if got, err := ParseYuan(text); err != nil || got != want {
			t.Errorf("%s = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1.005", "1,024.00", "1e3", " 1", "1 ", "+1", ".5", "5.", "NaN", "０", "99999999999999999999999", "--1", "1/2", "0x10"} {
		if got, err := ParseYuan(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

func TestYuanRoundTrip(t *testing.T) {
	if got := Fen(math.MinInt64).String(); got != "-92233720368547758.08" {
		t.Error(got)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := Fen(rapid.Int64().Draw(t, "fen"))
		if back, err := ParseYuan(f.String()); err != nil || back != f {
			t.Fatalf("%d -> %s -> %d, %v", f, f, back, err)
		}
	})
}

// TestSmallLineAmount: the quick way and the exact one never differ.
func TestSmallLineAmount(t *testing.T) {
	decimal := rapid.StringMatching(`[0-9]{1,9}(\.[0-9]{1,6})?|[0-9]{0,3}\.?[0-9]{0,3}|-?[0-9]{1,12}\.[0-9]{1,8}`)
	took := 0
	rapid.Check(t, func(t *rapid.T) {
		qty, price := decimal.Draw(t, "qty"), decimal.Draw(t, "price")
		quick, ok := smallLineAmount(qty, price)
		if !ok {
			return
		}
		took++
		if exact, err := exactLineAmount(qty, price); err != nil || exact != quick {
			t.Fatalf("%s x %s = %d by the quick way, %d exactly, %v", qty, price, quick, exact, err)
		}
	})
	if took == 0 {
		t.Error("the quick way took nothing")
	}
}
