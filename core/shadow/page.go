package shadow

import (
	"html/template"
	"io"
)

// Page writes the report as one page that needs nothing else.
func (r *Report) Page(w io.Writer) error { return page.Execute(w, r) }

var page = template.Must(template.New("shadow").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Hospital}}: what a new folder would change</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{border-bottom:1px solid #d0d7de;padding:.35rem .6rem;text-align:left;vertical-align:top}
td.n,th.n{text-align:right}pre{margin:0;white-space:pre-wrap;word-break:break-all;font:13px/1.4 ui-monospace,monospace}
.old{background:#ffebe9}.new{background:#e6ffec}@media print{body{margin:0;max-width:none}tr{break-inside:avoid}}
</style></head><body>
<h1>{{.Hospital}}: what a new folder would change</h1>
<p>{{.Messages}} messages and {{.Inbound}} notices of {{.From.Format "2006-01-02 15:04 -0700"}} to {{.Until.Format "2006-01-02 15:04 -0700"}}, said again with both folders. Nothing was sent. What names a person, and secrets, are masked.</p>
<table><tr><th class="n">exchanges</th><th class="n">same</th><th class="n">differ</th><th class="n">newly invalid</th><th class="n">outcome differs</th><th class="n">answers not judged</th><th class="n">random by nature</th><th class="n">not repeatable</th></tr>
<tr><td class="n">{{.Exchanges}}</td><td class="n">{{.Same}}</td><td class="n">{{.Differ}}</td><td class="n">{{.NewlyInvalid}}</td><td class="n">{{.OutcomeDiffers}}</td><td class="n">{{.Unread}}</td><td class="n">{{.Random}}</td><td class="n">{{.Lost}}</td></tr></table>
{{if .Groups}}<table><tr><th class="n">times</th><th>transaction</th><th>what</th><th>place</th><th>an example</th></tr>
{{range .Groups}}<tr><td class="n">{{.Count}}</td><td>{{.Kind}}<br>{{.Call}}</td><td>{{.What}}</td><td>{{.Place}}</td><td>{{if .Inbound}}notice{{else}}message{{end}} {{.Message}}<pre class="old">- {{.Old}}</pre><pre class="new">+ {{.New}}</pre></td></tr>
{{end}}</table>{{else}}<p>Nothing differs.</p>{{end}}
{{if .More}}<p>{{.More}} more differences are not grouped.</p>{{end}}
</body></html>
`))
