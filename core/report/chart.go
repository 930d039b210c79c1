package report

import (
	"fmt"
	"strings"

	"hishub/core"
)

// Chart shows how columns of a table go from row to row, totals left out.
type Chart struct {
	Title string
	// Table by its name, Category and Series by the keys of its columns.
	Table    string
	Category string
	Series   []string
	// Columns, or else lines.
	Columns bool
}

func (d Document) table(name string) Table {
	for _, t := range d.Tables {
		if t.Name == name {
			return t
		}
	}
	panic("report: no table " + name)
}

// points are the rows that a chart shows.
func (c Chart) points(t Table) []Row {
	for i, r := range t.Rows {
		if r.Total {
			return t.Rows[:i]
		}
	}
	return t.Rows
}

// The size of a drawn chart, and of its margins, in units of its own.
const (
	chartWidth, chartHeight       = 860.0, 260.0
	chartLeft, chartTop, chartEnd = 76.0, 12.0, 28.0
)

// drawing is a chart as the page draws it.
type drawing struct {
	Title  string
	Width  float64
	Height float64
	Grid   []mark
	Labels []mark
	Bars   []bar
	Lines  []line
	Legend []legend
}

type mark struct {
	X, Y float64
	Text string
}

type bar struct {
	X, Y, Width, Height float64
	Series              int
	Text                string
}

type line struct {
	Series int
	Points string
}

type legend struct {
	X      float64
	Series int
	Text   string
}

// draw places a chart's marks; false when there is nothing to draw.
func (d Document) draw(c Chart) (drawing, bool) {
	t := d.table(c.Table)
	rows := c.points(t)
	if len(rows) == 0 {
		return drawing{}, false
	}
	out := drawing{Title: c.Title, Width: chartWidth, Height: chartHeight}
	low, high, money := 0.0, 0.0, false
	values := make([][]float64, len(c.Series))
	for i, key := range c.Series {
		at := t.column(key)
		money = money || t.Columns[at].Kind == Money
		for _, r := range rows {
			v := height(r.Cells[at])
			values[i] = append(values[i], v)
			low, high = min(low, v), max(high, v)
		}
		out.Legend = append(out.Legend, legend{chartLeft + float64(i)*260, i, t.Columns[at].Heading()})
	}
	step := round(high - low)
	low, high = floor(low, step), -floor(-high, step)
	if high == low {
		high = low + step
	}
	bottom := chartHeight - chartEnd - 16
	y := func(v float64) float64 { return chartTop + (high-v)/(high-low)*(bottom-chartTop) }
	for v := low; v <= high+step/2; v += step {
		label := fmt.Sprintf("%.0f", v)
		if money && step < 1 {
			label = fmt.Sprintf("%.2f", v)
		}
		out.Grid = append(out.Grid, mark{chartLeft, y(v), label})
	}
	slot := (chartWidth - chartLeft - 10) / float64(len(rows))
	category := t.column(c.Category)
	every := (len(rows) + 15) / 16
	for i, r := range rows {
		if i%every == 0 {
			out.Labels = append(out.Labels, mark{chartLeft + (float64(i)+0.5)*slot, bottom + 14, short(text(r.Cells[category]))})
		}
	}
	for s := range values {
		var points []string
		for i, v := range values[s] {
			x := chartLeft + float64(i)*slot
			if c.Columns {
				w := slot * 0.7 / float64(len(values))
				out.Bars = append(out.Bars, bar{x + slot*0.15 + float64(s)*w, y(max(v, 0)), w, y(min(v, 0)) - y(max(v, 0)), s, text(rows[i].Cells[category]) + ": " + text(rows[i].Cells[t.column(c.Series[s])])})
			} else {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x+slot/2, y(v)))
			}
		}
		if !c.Columns {
			out.Lines = append(out.Lines, line{s, strings.Join(points, " ")})
		}
	}
	return out, true
}

// height of a cell in its chart; money in yuan. It is drawn, never reckoned with.
func height(cell any) float64 {
	switch c := cell.(type) {
	case int64:
		return float64(c)
	case core.Fen:
		return float64(c) / 100
	}
	return 0
}

// round gives a step of 1, 2 or 5 times a power of ten that divides the span
// into about five; at least 1.
func round(span float64) float64 {
	for power := 1.0; ; power *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if span <= 5*step*power {
				return step * power
			}
		}
	}
}

func floor(v, step float64) float64 {
	n := float64(int64(v / step))
	if n*step > v {
		n--
	}
	return n * step
}

// short is the day of a date.
func short(day string) string {
	if len(day) == len("2026-01-05") {
		return day[8:]
	}
	return day
}
