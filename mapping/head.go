package mapping

import (
	"io/fs"
	"time"

	"hishub/core"
)

// Head reads of a folder only what says how its hospital may be called: zone, hours
// and limits. It compiles nothing, and takes a thousandth of the time of Load. The
// dialect has no operations, so that no kind of it goes at any hour. The error is
// Mistakes; those that have no part in this are not looked for.
func Head(folder fs.FS) (*core.Dialect, error) {
	l := &loader{findings: &findings{}, files: folder, options: Options{Env: func(string) (string, bool) { return "", true }}, zone: time.UTC}
	data, err := readRegular(folder, hospitalFile)
	if err != nil {
		return nil, Mistakes{{File: hospitalFile, Line: 1, Column: 1, What: "the file cannot be read"}}
	}
	if n := parseYAML(hospitalFile, string(data), l.findings); n != nil {
		l.hospital = l.section(n, hospitalTable)
	}
	if l.hospital == nil {
		return nil, l.all.sorted()
	}
	d := &core.Dialect{}
	l.readHospital(d)
	return d, nil
}
