package report

import (
	"encoding/json"
	"io"
	"time"

	"hishub/core"
)

// JSON writes the document for programs: each table by its name as a list of
// objects, money in fen, words by their code, times with their zone.
func JSON(w io.Writer, d Document) error {
	tables := map[string][]map[string]any{}
	for _, t := range d.Tables {
		rows := make([]map[string]any, 0, len(t.Rows))
		for _, r := range t.Rows {
			row := map[string]any{}
			for i, c := range t.Columns {
				if v := plain(r.Cells[i]); v != nil {
					row[c.Key] = v
				}
			}
			if r.Total {
				row["is_total"] = true
			}
			rows = append(rows, row)
		}
		tables[t.Name] = rows
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(map[string]any{"hospital": d.Hospital, "name": d.Name, "period": d.Period, "made": d.Made.Format(time.RFC3339), "tables": tables})
}

func plain(cell any) any {
	switch c := cell.(type) {
	case Word:
		if c.Code == "" {
			return c.Chinese
		}
		return c.Code
	case core.Fen:
		return int64(c)
	case time.Time:
		return c.Format(time.RFC3339)
	case ID:
		if c == "" {
			return nil
		}
	}
	return cell
}
