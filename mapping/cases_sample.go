package mapping

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hishub/core"
	"hishub/mapping/formats"
)

// A drafted case has no request.* yet, but what was recorded of others: sample.*.
// Somebody compares the two once, and accepts what the folder writes.

// Unaccepted is a request of a case that no request.* holds yet.
type Unaccepted struct {
	File  string // request.xml, in the case's folder
	Wrote []byte
	// Sample is the recorded request beside it, "" if there is none. Differs is
	// where the two say different things, "" if nowhere.
	Sample, Differs string
}

// Unaccepted lists what the folder writes for a case, as far as no request.* holds
// it. With again, also what differs from its request.*.
func (f *Folder) Unaccepted(name string, again bool) ([]Unaccepted, error) {
	if _, err := fs.Stat(f.files, path.Join("cases", name)); err != nil {
		return nil, fmt.Errorf("there is no case %s: %w", name, cause(err))
	}
	c := &caseRun{folder: f, dir: path.Join("cases", name), connectors: map[string]core.Connector{}}
	defer func() {
		for _, o := range c.connectors {
			o.Close()
		}
	}()
	var out []Unaccepted
	c.wrote = func(number, file string, request []byte) {
		u := Unaccepted{File: file, Wrote: request}
		var sample []byte
		sample, u.Sample, _ = c.recorded("sample" + number)
		if u.Sample != "" {
			u.Differs = saysOtherwise(sample, request)
		}
		switch {
		case file == "":
			u.File = "request" + number + endingOf(request)
		case !again:
			return
		default:
			if held, _, _ := c.recorded("request" + number); bytes.Equal(held, request) {
				return
			}
		}
		out = append(out, u)
	}
	c.run(name)
	if len(out) == 0 && len(c.differences) > 0 {
		return nil, errors.New(strings.Join(c.differences, "\n"))
	}
	return out, nil
}

// CaseNames are the names of all cases.
func (f *Folder) CaseNames() (names []string) {
	dirs, _ := fs.ReadDir(f.files, "cases")
	for _, d := range dirs {
		if d.IsDir() && !hidden(d.Name()) {
			names = append(names, d.Name())
		}
	}
	return names
}

func endingOf(request []byte) string {
	switch b := bytes.TrimSpace(request); {
	case requestLine.Match(b):
		return ".http"
	case bytes.HasPrefix(b, []byte("<")):
		return ".xml"
	case bytes.HasPrefix(b, []byte("{")):
		return ".json"
	}
	return ".txt"
}

var requestLine = regexp.MustCompile(`^[A-Z]+ \S+ HTTP/1\.1\r?\n`)

// ownBody cuts a recorded HTTP request into its first line and its body; what is none
// is a body.
func ownBody(data []byte) (line string, body []byte) {
	head := requestLine.Find(data)
	if head == nil {
		return "", bytes.TrimSpace(data)
	}
	for _, end := range []string{"\r\n\r\n", "\n\n"} {
		if _, body, ok := bytes.Cut(data, []byte(end)); ok {
			return string(bytes.TrimSpace(head)), bytes.TrimSpace(body)
		}
	}
	return string(bytes.TrimSpace(head)), nil
}

// unaccepted tells of a request that no file holds, and how to keep it.
func (c *caseRun) unaccepted(number string, wrote []byte) {
	sample, file, _ := c.recorded("sample" + number)
	switch differs := saysOtherwise(sample, wrote); {
	case file == "":
		c.differ("there is no request%s.*; what is sent is\n%s", number, wrote)
	case differs == "":
		c.differ("there is no request%s.*; what is sent says the same as %s; keep it: --accept same", number, file)
	default:
		c.differ("there is no request%s.*; what is sent differs from %s; mend it, or keep it: --accept %s\n%s", number, file, path.Base(c.dir), differs)
	}
}

// saysOtherwise tells where two requests say different things, "" if nowhere. A sample
// may be the body alone; headers are not compared. Prefixes, attributes that declare
// them, and blanks between elements say nothing in a SOAP envelope; within texts,
// every byte counts.
func saysOtherwise(sample, wrote []byte) string {
	sampleLine, sample := ownBody(sample)
	line, wrote := ownBody(wrote)
	if sampleLine != "" && line != "" && sampleLine != line {
		return fmt.Sprintf("  the sample is %s, sent is %s", sampleLine, line)
	}
	if bytes.Equal(sample, wrote) {
		return ""
	}
	s, ok := envelopeOf(sample)
	w, ok2 := envelopeOf(wrote)
	if !ok || !ok2 {
		return "  " + strings.ReplaceAll(difference(sample, wrote), "\n", "\n  ")
	}
	var found []string
	if compareValues("", s, w, &found); len(found) == 0 {
		compareSpaces(sample, wrote, &found)
	}
	if cs, cw := bytes.Count(sample, []byte("<![CDATA[")), bytes.Count(wrote, []byte("<![CDATA[")); cs != cw && len(found) == 0 {
		found = append(found, fmt.Sprintf("CDATA: %d times in the sample, %d times in what is sent", cs, cw))
	}
	const most = 12
	if len(found) > most {
		found = append(found[:most], fmt.Sprintf("and %d more", len(found)-most))
	}
	if len(found) == 0 {
		return ""
	}
	return "  " + strings.Join(found, "\n  ")
}

// envelopeOf reads a SOAP envelope, by local names.
func envelopeOf(data []byte) (core.Value, bool) {
	v, ok := readXML(string(data))
	t, isTree := v.(core.Tree)
	if !ok || !isTree || len(t) != 1 || t[0].Name != "Envelope" {
		return nil, false
	}
	return v, true
}

func readXML(text string) (core.Value, bool) {
	format, err := formats.New("xml", nil)
	if err != nil || !strings.HasPrefix(strings.TrimSpace(text), "<") {
		return nil, false
	}
	v, err := format.Read(text)
	return v, err == nil
}

// compareSpaces notes the first element that stands in another namespace.
func compareSpaces(sample, wrote []byte, found *[]string) {
	s, w := namesIn(sample), namesIn(wrote)
	for i := range min(len(s), len(w)) {
		if s[i] != w[i] && s[i].Local == w[i].Local {
			*found = append(*found, fmt.Sprintf("%s: the sample has it in the namespace %q, sent is %q", s[i].Local, s[i].Space, w[i].Space))
			return
		}
	}
}

// namesIn are the elements of a document, as far as it can be read.
func namesIn(data []byte) (names []xml.Name) {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // names are ASCII
	for {
		t, err := d.Token()
		if err != nil {
			return names
		}
		if start, ok := t.(xml.StartElement); ok {
			names = append(names, start.Name)
		}
	}
}

// compareValues notes the places at which two values differ: path, what the sample
// has, what is sent.
func compareValues(at string, s, w core.Value, found *[]string) {
	if items, ok := s.(core.List); ok && len(items) == 1 {
		s = items[0]
	}
	if items, ok := w.(core.List); ok && len(items) == 1 {
		w = items[0]
	}
	st, ok := s.(core.Tree)
	wt, ok2 := w.(core.Tree)
	if ok && ok2 {
		compareTrees(at, st, wt, found)
		return
	}
	sl, ok := s.(core.List)
	wl, ok2 := w.(core.List)
	if ok && ok2 {
		for i := range max(len(sl), len(wl)) {
			here := at + "[" + strconv.Itoa(i+1) + "]"
			switch {
			case i >= len(sl):
				*found = append(*found, here+": only in what is sent")
			case i >= len(wl):
				*found = append(*found, here+": only in the sample")
			default:
				compareValues(here, sl[i], wl[i], found)
			}
		}
		return
	}
	a, b := said(s), said(w)
	if a == b {
		return
	}
	// Two documents inside of the text: say where in them.
	if x, ok := readXML(a); ok {
		if y, ok := readXML(b); ok {
			before := len(*found)
			if compareValues(at, x, y, found); len(*found) > before {
				return
			}
		}
	}
	a, b = clip(strconv.Quote(a), strconv.Quote(b)), clip(strconv.Quote(b), strconv.Quote(a))
	*found = append(*found, fmt.Sprintf("%s: the sample has %s, sent is %s", at, a, b))
}

func compareTrees(at string, s, w core.Tree, found *[]string) {
	names := func(t core.Tree) (out []string) {
		for _, f := range t {
			out = append(out, f.Name)
		}
		return out
	}
	sn, wn := names(s), names(w)
	before := len(*found)
	for _, f := range s {
		if i := slices.Index(wn, f.Name); i >= 0 {
			compareValues(at+"/"+f.Name, f.Value, w[i].Value, found)
		} else {
			*found = append(*found, at+"/"+f.Name+": only in the sample")
		}
	}
	for _, name := range wn {
		if !slices.Contains(sn, name) {
			*found = append(*found, at+"/"+name+": only in what is sent")
		}
	}
	if len(*found) == before && !slices.Equal(sn, wn) {
		*found = append(*found, at+": the order is "+strings.Join(sn, " ")+" in the sample, "+strings.Join(wn, " ")+" in what is sent")
	}
}

func said(v core.Value) string {
	if v == nil {
		return ""
	}
	if text, ok := core.Text(v); ok {
		return text
	}
	if t, ok := v.(core.Tree); ok && len(t) == 0 {
		return ""
	}
	return fmt.Sprint(v)
}
