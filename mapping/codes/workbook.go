package codes

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// workbookRows reads the first sheet of a workbook that is not empty.
func workbookRows(data []byte) (_ []SheetRow, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the workbook is damaged")
		}
	}()
	f, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{UnzipSizeLimit: MaxSheet * 4, UnzipXMLSizeLimit: MaxSheet * 4, RawCellValue: true})
	if err != nil {
		return nil, fmt.Errorf("open the workbook: %w", err)
	}
	defer func() { _ = f.Close() }()
	for _, sheet := range f.GetSheetList() {
		rows, err := sheetRows(f, sheet)
		if err != nil || len(rows) > 0 {
			return rows, err
		}
	}
	return nil, nil
}

// Bounds of a workbook's sheet. A few bytes of a zip unpack to millions of cells,
// and a cell at the far right makes a row of 16,384.
const (
	maxColumns = 64
	maxCells   = 1 << 20
)

// sheetRows reads the rows of a sheet that are not empty, one after the other. The
// cells are as cellText reads them.
func sheetRows(f *excelize.File, sheet string) (out []SheetRow, err error) {
	raws, err := f.Rows(sheet)
	if err != nil {
		return nil, fmt.Errorf("read sheet %s: %w", sheet, err)
	}
	defer func() { _ = raws.Close() }()
	shows, err := f.Rows(sheet)
	if err != nil {
		return nil, fmt.Errorf("read sheet %s: %w", sheet, err)
	}
	defer func() { _ = shows.Close() }()
	var long []cellAt
	cells, size := 0, 0
	for line := 1; raws.Next() && shows.Next(); line++ {
		values, err := raws.Columns(excelize.Options{RawCellValue: true})
		if err != nil {
			return nil, fmt.Errorf("read sheet %s, row %d: %w", sheet, line, err)
		}
		if len(values) > maxColumns {
			return nil, Problems{{line, maxColumns + 1, fmt.Sprintf("sheet %s has a cell in column %d", sheet, len(values)), fmt.Sprintf("at most %d columns are read; delete what stands to the right of the table", maxColumns)}}
		}
		for _, v := range values {
			size += len(v)
		}
		if cells += len(values); cells > maxCells || size > MaxSheet*4 {
			return nil, Problems{{line, 1, fmt.Sprintf("the workbook has more than %d cells or %d MiB of text up to here in sheet %s", maxCells, MaxSheet*4>>20, sheet), "bring it in in parts"}}
		}
		shown, err := shows.Columns(excelize.Options{RawCellValue: false})
		if err != nil {
			return nil, fmt.Errorf("read sheet %s, row %d: %w", sheet, line, err)
		}
		if !slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
			continue
		}
		row := SheetRow{Line: line, Values: slices.Clone(values)}
		for j := range min(len(values), len(shown)) {
			column := ""
			if len(out) > 0 && j < len(out[0].Values) {
				column = heading(out[0].Values[j])
			}
			row.Values[j] = cellText(column, values[j], shown[j])
			if tooLong.MatchString(values[j]) {
				long = append(long, cellAt{len(out), j})
			}
		}
		out = append(out, row)
	}
	for _, rows := range []*excelize.Rows{raws, shows} {
		if err := rows.Error(); err != nil {
			return nil, fmt.Errorf("read sheet %s: %w", sheet, err)
		}
	}
	// Only the whole sheet tells numbers from text, and takes room for every cell up
	// to the last of a row, be they empty.
	if len(long) > 0 && spread(f) > maxCells {
		return nil, fmt.Errorf("sheet %s has empty cells far to the right of the table; copy the table alone into a new workbook", sheet)
	}
	for _, at := range long {
		if isNumber(f, sheet, out[at.row].Line, at.column+1) {
			out[at.row].Values[at.column] = "1E+15" // a workbook keeps 15 digits of a number; it is refused as such
		}
	}
	return out, nil
}

type cellAt struct{ row, column int }

// spread is how many cells the sheets of a workbook have where each row is filled
// up to its last cell, counted until they are too many.
func spread(f *excelize.File) (cells int) {
	f.Pkg.Range(func(_, part any) bool {
		data, ok := part.([]byte)
		if !ok {
			return true
		}
		d := xml.NewDecoder(bytes.NewReader(data))
		d.CharsetReader, d.Strict = f.CharsetReader, false
		for column := 0; cells <= maxCells; {
			t, err := d.RawToken()
			if err != nil {
				break
			}
			e, ok := t.(xml.StartElement)
			switch {
			case ok && e.Name.Local == "row":
				column = 0
				cells++
			case ok && e.Name.Local == "c":
				before := column
				column++
				for _, a := range e.Attr {
					if to, _, err := excelize.CellNameToCoordinates(a.Value); a.Name.Local == "r" && err == nil {
						column = to
					}
				}
				cells += max(0, column-before)
			}
		}
		return cells <= maxCells
	})
	return cells
}

// wholeNumber is a number that a workbook holds whole, tooLong one that it does not.
var (
	wholeNumber = regexp.MustCompile(`^[0-9]{1,15}$`)
	tooLong     = regexp.MustCompile(`^[0-9]{16,}$|^[0-9](\.[0-9]+)?[Ee]\+[0-9]+$`)
)

func isNumber(f *excelize.File, sheet string, row, column int) bool {
	name, err := excelize.CoordinatesToCellName(column, row)
	if err != nil {
		return false
	}
	kind, err := f.GetCellType(sheet, name)
	return err == nil && (kind == excelize.CellTypeUnset || kind == excelize.CellTypeNumber)
}

// cellText chooses between what a cell holds and what it shows: a number with
// leading zeros is what it shows, a long one what it holds, a day is a number of days.
func cellText(column, raw, shown string) string {
	switch {
	case raw == shown:
	case column == From || column == Until:
		var days float64
		if _, err := fmt.Sscanf(raw, "%g", &days); err != nil || days < 1 || days > 2958465 {
			break
		}
		if t, err := excelize.ExcelDateToTime(days, false); err == nil {
			return t.Truncate(24 * time.Hour).Format(time.DateOnly)
		}
	case rounded.MatchString(shown) && wholeNumber.MatchString(raw):
		return raw
	case strings.Contains(shown, ",") && wholeNumber.MatchString(raw):
		return raw // 1,234 is for the eye
	}
	return shown
}
