package report

import (
	"archive/zip"
	"bufio"
	"io"
	"strings"
	"time"
	"unicode"

	"hishub/core"
)

// CSV writes a zip with a file for each table: UTF-8 with the mark by which Excel
// knows it, CRLF, every text in quotes.
func CSV(w io.Writer, d Document) error {
	z := zip.NewWriter(w)
	for _, t := range d.Tables {
		f, err := z.CreateHeader(&zip.FileHeader{Name: d.FileName() + "-" + t.Name + ".csv", Method: zip.Deflate, Modified: made(d)})
		if err != nil {
			return err
		}
		if err := t.CSV(f); err != nil {
			return err
		}
	}
	return z.Close()
}

// made bounds the time to what a zip can say.
func made(d Document) time.Time {
	if d.Made.Year() < 1980 {
		return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return d.Made
}

// CSV writes the table alone.
func (t Table) CSV(w io.Writer) error {
	out := bufio.NewWriter(w)
	heading := "\ufeff"
	for i, c := range t.Columns {
		if i > 0 {
			heading += ","
		}
		heading += quoted(c.Heading())
	}
	if _, err := out.WriteString(heading + "\r\n"); err != nil {
		return err
	}
	for _, r := range t.Rows {
		var record strings.Builder
		for i, cell := range r.Cells {
			if i > 0 {
				record.WriteByte(',')
			}
			switch c := cell.(type) {
			case nil:
			case int64, core.Fen, time.Time:
				record.WriteString(text(c))
			default:
				record.WriteString(quoted(safe(text(c))))
			}
		}
		record.WriteString("\r\n")
		if _, err := out.WriteString(record.String()); err != nil {
			return err
		}
	}
	return out.Flush()
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// safe is a text that Excel leaves as it is. What would be a formula gets an
// apostrophe before it (OWASP, "CSV Injection"; Excel in Chinese also takes the
// full-width signs). What would be read as a number, and lose its zeros or its
// last digits, gets a tab, as the channels' own bills have it.
func safe(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r): // invisible, and could hide what the text begins with
			return -1
		}
		return r
	}, s)
	bare := strings.TrimSpace(s)
	switch {
	case bare == "":
		return s
	case strings.ContainsRune("=+-@＝＋－＠", []rune(bare)[0]):
		return "'" + s
	case numeric(bare):
		return "\t" + s
	}
	return s
}

// numeric reports whether Excel takes the text for a number or a date that is
// not what it says: digits, also with a point, an E or a separator among them.
func numeric(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && !strings.ContainsRune(".,eE-/:", r) {
			return false
		}
	}
	return true
}
