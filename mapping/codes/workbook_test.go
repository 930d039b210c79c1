package codes

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// A cell far to the right makes a row of 16,384 cells of a few bytes; it is refused
// before there is room for them.
func TestAWorkbookThatUnpacksToTooMuch(t *testing.T) {
	set := func(at func(f *excelize.File)) []byte {
		return workbookOf(t, func(f *excelize.File) {
			for cell, v := range map[string]any{"A1": "ours", "B1": "theirs", "A2": "A", "B2": 1.2345678901234567e17} {
				_ = f.SetCellValue("Sheet1", cell, v)
			}
			at(f)
		})
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"cells far right": {set(func(f *excelize.File) {
			for row := 3; row < 60; row++ {
				_ = f.SetCellValue("Sheet1", fmt.Sprintf("XFD%d", row), "x")
			}
		}), "row 3: sheet Sheet1 has a cell in column 16384; at most 64 columns are read"},
		"empty cells far right": {set(func(f *excelize.File) {
			style, _ := f.NewStyle(&excelize.Style{NumFmt: 14})
			for row := 3; row < 80; row++ {
				_ = f.SetCellStyle("Sheet1", fmt.Sprintf("XFD%d", row), fmt.Sprintf("XFD%d", row), style)
			}
		}), "has empty cells far to the right"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := brought("a.xlsx", c.data)
		runtime.ReadMemStats(&after)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
			t.Errorf("%s: took %d MiB", name, took>>20)
		}
	}
}

// The last column that is read, and a row after many that are empty.
func TestAWorkbookWithGaps(t *testing.T) {
	data := workbookOf(t, func(f *excelize.File) {
		for cell, v := range map[string]any{"A1": "ours", "BL1": "theirs", "A5000": "A", "BL5000": "1"} {
			_ = f.SetCellValue("Sheet1", cell, v)
		}
	})
	if got := brought("a.xlsx", data); got != "ours,theirs\nA,1\n" {
		t.Error(got)
	}
}
