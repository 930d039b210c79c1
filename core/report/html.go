package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
)

var (
	//go:embed report.html
	page string
	//go:embed report.css
	style string
)

// StyleSource names the page's own style in a Content-Security-Policy, so that
// nothing else needs to be allowed.
var StyleSource = func() string {
	sum := sha256.Sum256([]byte(style))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"text": text,
	"cell": func(t Table, i int, c any) string {
		class := ""
		_, number := c.(ID)
		switch k := kindOf(t.Columns[i].Kind, c); {
		case k.Right():
			class = "n"
		case k == Moment || k == Text && number: // a date stays on its line
			class = "d"
		case k == Number:
			class = "id"
		case k == Long:
			class = "long"
		}
		return class
	},
	"at": func(x float64) string { return fmt.Sprintf("%.1f", x) },
	"style": func() template.CSS {
		return template.CSS(style) // ours, see report.css
	},
	"listed": func(t Table) bool { return len(t.Rows) > 0 },
}).Parse(page))

// HTML writes the document as one page that needs nothing else: no script, no
// file, no network. It can be printed.
func HTML(w io.Writer, d Document) error {
	var drawn []drawing
	for _, c := range d.Charts {
		if x, ok := d.draw(c); ok {
			drawn = append(drawn, x)
		}
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, struct {
		Document
		Drawn []drawing
	}{d, drawn}); err != nil {
		return fmt.Errorf("page of %s: %w", d.FileName(), err)
	}
	_, err := w.Write(out.Bytes())
	return err
}
