package draft

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
	"hishub/mapping/formats"
)

// File is a file that the hospital gave.
type File struct {
	Name string
	Data []byte
}

// seen is a recorded message: what it is wrapped in, and what is in it.
type seen struct {
	file    string
	stem    string // the name of its exchange: SaveFee of SaveFee.already.response.xml
	variant string // already
	answer  bool
	kind    core.Kind // the transaction with which the name begins, "" if it does not
	data    []byte
	charset string // UTF-8 or GB18030
	http    *httpHead
	framing []entry // of a bare connection
	bare    bool    // it went over a bare connection
	soap    string  // version, "" is no SOAP
	method  string  // the SOAP body's child
	space   string  // its namespace
	format  string  // of the document; "" for SOAP parameters and for plain text
	lenient bool
	prolog  string
	fields  []Field

	entrance *entrance
	inner    []Field // of an answer: what the folder will call answer
}

type httpHead struct {
	method, path  string
	query, header []Field
	host          string
	status        string
}

// maxSample bounds one recorded message, in bytes.
const maxSample = 4 << 20

// readSample takes a recorded message apart. It fails only for what is no text.
func readSample(f File) (*seen, error) {
	s := &seen{file: path.Base(strings.ReplaceAll(f.Name, `\`, "/")), data: f.Data}
	s.names()
	if len(f.Data) > maxSample {
		return nil, fmt.Errorf("%s: a sample of more than %d MiB", f.Name, maxSample>>20)
	}
	if len(bytes.TrimSpace(f.Data)) == 0 {
		return nil, fmt.Errorf("%s:1: the file is empty", f.Name)
	}
	body := s.unframe(f.Data)
	text, err := s.decode(body)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", f.Name, err)
	}
	text = strings.TrimPrefix(text, "\ufeff")
	text, err = s.head(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", f.Name, err)
	}
	s.document(text)
	return s, nil
}

var answerNames = regexp.MustCompile(`(?i)(^|[._-])(response|resp|res|rsp|answer|reply|out|ack|result|output|返回|响应|出参)([._-]|$)`)
var requestNames = regexp.MustCompile(`(?i)(^|[._-])(request|req|in|input|请求|入参|payload)([._-]|$)`)

// names reads what the name of the file says.
func (s *seen) names() {
	name := strings.TrimSuffix(s.file, path.Ext(s.file))
	switch path.Ext(name) { // x.hl7.txt
	case ".hl7", ".xml", ".json", ".http":
		name = strings.TrimSuffix(name, path.Ext(name))
	}
	s.answer = answerNames.MatchString(name)
	name = answerNames.ReplaceAllString(name, ".")
	name = requestNames.ReplaceAllString(name, ".")
	name = strings.Trim(name, "._- ")
	s.stem, s.variant, _ = strings.Cut(name, ".")
	s.variant = strings.Trim(s.variant, ".")
	verb, variant, _ := strings.Cut(s.variant, ".")
	if t, ok := core.Lookup(core.Kind(s.stem + "." + verb)); ok {
		s.kind, s.stem, s.variant = t.Kind, string(t.Kind), strings.Trim(variant, ".")
	}
}

// unframe takes off the bytes by which a bare connection divides texts.
func (s *seen) unframe(data []byte) []byte {
	if len(data) > 3 && data[0] == 0x0b {
		s.bare = true
		s.framing = []entry{{key: "framing", value: "mllp"}}
		data = bytes.TrimSuffix(bytes.TrimRight(data[1:], "\r\n"), []byte{0x1c})
		return bytes.TrimSuffix(data, []byte{0x1c})
	}
	n := 0
	for n < len(data) && n < 11 && data[n] >= '0' && data[n] <= '9' {
		n++
	}
	for ; n >= 2; n-- {
		length, _ := strconv.Atoi(string(data[:n]))
		rest := len(bytes.TrimRight(data, "\n")) - n
		if length < 2 || n > 8 && rest < 1 {
			continue
		}
		framing := "{digits: " + strconv.Itoa(n)
		if length == rest || length == len(data)-n {
			s.bare = true
			s.framing = []entry{{key: "framing", value: "{length: " + framing + "}}", note: "guess: the sample begins with its length"}}
			return data[n : n+length]
		}
		if length == rest+n {
			s.bare = true
			s.framing = []entry{{key: "framing", value: "{length: " + framing + ", includes_itself: true}}", note: "guess: the sample begins with its length"}}
			return data[n:length]
		}
	}
	return data
}

// decode finds the charset.
func (s *seen) decode(body []byte) (string, error) {
	s.charset = "UTF-8"
	if i := bytes.IndexByte(body, 0); i >= 0 {
		return "", fmt.Errorf("%d: the file is not text: it has a zero byte (a file of UTF-16, or no message at all)", lineAt(body, i))
	}
	if utf8.Valid(body) {
		return string(body), nil
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(body)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		i := 0
		for i < len(body) && body[i] < 0x80 {
			i++
		}
		return "", fmt.Errorf("%d: the file is text neither in UTF-8 nor in GB18030", lineAt(body, i))
	}
	s.charset = "GB18030"
	return string(text), nil
}

func lineAt(data []byte, i int) int { return bytes.Count(data[:i], []byte("\n")) + 1 }

var requestLine = regexp.MustCompile(`^(GET|POST|PUT|DELETE|PATCH) (\S+)( HTTP/[0-9.]+)?\r?\n`)

// head reads the head of a whole HTTP request or answer.
func (s *seen) head(text string) (string, error) {
	m := requestLine.FindStringSubmatch(text)
	if m == nil && !strings.HasPrefix(text, "HTTP/") {
		return text, nil
	}
	head, body, ok := strings.Cut(text, "\r\n\r\n")
	if !ok {
		head, body, _ = strings.Cut(text, "\n\n")
	}
	lines := strings.Split(strings.ReplaceAll(head, "\r\n", "\n"), "\n")
	s.http = &httpHead{}
	if m != nil {
		s.answer = false
		s.http.method = m[1]
		where, query, _ := strings.Cut(m[2], "?")
		if _, after, ok := strings.Cut(where, "://"); ok {
			s.http.host, where, _ = strings.Cut(after, "/")
			where = "/" + where
		}
		s.http.path = where
		if query != "" {
			if v, ok := read("form", nil, query); ok {
				s.http.query = fieldsOf(v, 0)
			}
		}
	} else {
		s.answer = true
		_, status, _ := strings.Cut(lines[0], " ")
		s.http.status, _, _ = strings.Cut(status, " ")
	}
	for i, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			if strings.TrimSpace(line) == "" {
				continue
			}
			return "", fmt.Errorf("%d: a header of HTTP has no colon", i+2)
		}
		s.http.header = append(s.http.header, Field{Name: name, Sample: strings.TrimSpace(value), Seen: true})
		if strings.EqualFold(name, "host") {
			s.http.host = strings.TrimSpace(value)
		}
	}
	return body, nil
}

func read(format string, options map[string]any, text string) (core.Value, bool) {
	f, err := formats.New(format, options)
	if err != nil {
		return nil, false
	}
	v, err := f.Read(text)
	return v, err == nil
}

var prolog = regexp.MustCompile(`^\s*(<\?xml[^>]*\?>\s*)`)

// document finds the format of the text, and reads it.
func (s *seen) document(text string) {
	trimmed := strings.TrimSpace(text)
	if m := prolog.FindStringSubmatch(text); m != nil {
		s.prolog = m[1]
	}
	switch {
	case trimmed == "":
		return
	case strings.HasPrefix(trimmed, "MSH"):
		if v, ok := read("hl7v2", map[string]any{"lenient": true}, strings.ReplaceAll(strings.ReplaceAll(trimmed, "\r\n", "\r"), "\n", "\r")); ok {
			s.format, s.fields = "hl7v2", fieldsOf(v, 0)
			s.hl7()
			return
		}
	case trimmed[0] == '<':
		v, ok := read("xml", nil, trimmed)
		if !ok {
			if v, ok = read("xml", map[string]any{"lenient": true}, trimmed); ok {
				s.lenient = true
			}
		}
		if ok {
			s.format, s.fields = "xml", fieldsOf(v, 0)
			markCData(s.fields, trimmed)
			s.envelope()
			return
		}
	case trimmed[0] == '{' || trimmed[0] == '[':
		if fields, err := readJSON(trimmed); err == nil {
			s.format, s.fields = "json", fields
			return
		}
		if v, ok := read("json", map[string]any{"lenient": true}, trimmed); ok {
			s.format, s.lenient, s.fields = "json", true, fieldsOf(v, 0)
			return
		}
	}
	s.flat(trimmed)
}

var (
	formText  = regexp.MustCompile(`^[^=&\s]+=[^&\s]*(&[^=&\s]+=[^&\s]*)*$`)
	pairsText = regexp.MustCompile(`^[^=;|]+=[^;|]*(;[^=;|]+=[^;|]*)+;?$`)
)

// flat reads what is neither XML nor JSON.
func (s *seen) flat(text string) {
	take := func(name, format string, options map[string]any) bool {
		v, ok := read(format, options, text)
		if ok {
			s.format, s.fields = name, fieldsOf(v, 0)
		}
		return ok
	}
	if strings.Contains(text, "&") && formText.MatchString(text) && take("form", "form", nil) {
		return
	}
	if pairsText.MatchString(text) && take("pairs", "pairs", map[string]any{"trailing": strings.HasSuffix(text, ";")}) {
		return
	}
	if strings.Count(text, "|") > 1 && take("delimited", "delimited", nil) {
		return
	}
	if formText.MatchString(text) && take("form", "form", nil) {
		return
	}
	s.fields = []Field{{Name: "text", Sample: text, Seen: true}}
}

// envelope opens a SOAP envelope.
func (s *seen) envelope() {
	if len(s.fields) != 1 || s.fields[0].Name != "Envelope" && !strings.HasSuffix(s.fields[0].Name, ":Envelope") {
		return
	}
	var body *Field
	for i, f := range s.fields[0].Children {
		switch {
		case strings.HasPrefix(f.Name, ".xmlns") && strings.Contains(f.Sample, "2003/05/soap-envelope"):
			s.soap = "1.2"
		case strings.HasPrefix(f.Name, ".xmlns") && strings.Contains(f.Sample, "schemas.xmlsoap.org/soap/envelope"):
			s.soap = "1.1"
		case f.Name == "Body" || strings.HasSuffix(f.Name, ":Body"):
			body = &s.fields[0].Children[i]
		}
	}
	if body == nil {
		s.soap = ""
		return
	}
	if s.soap == "" {
		s.soap = "1.1"
	}
	s.format, s.prolog = "", ""
	scope := append([]Field{}, s.fields[0].Children...)
	s.fields = nil
	for _, f := range body.Children {
		if !strings.HasPrefix(f.Name, ".") {
			s.method = local(f.Name)
			s.fields = f.Children
			prefix, _, has := strings.Cut(f.Name, ":")
			want := ".xmlns"
			if has {
				want += ":" + prefix
			}
			for _, a := range append(scope, f.Children...) {
				if a.Name == want {
					s.space = a.Sample
				}
			}
			break
		}
	}
	s.fields = withoutAttributes(s.fields)
	if !s.answer && (strings.HasSuffix(s.method, "Response") || s.method == "Fault") {
		s.answer = true
	}
}

func local(name string) string { return name[strings.LastIndexByte(name, ':')+1:] }

func withoutAttributes(fields []Field) []Field {
	var out []Field
	for _, f := range fields {
		if !strings.HasPrefix(f.Name, ".xmlns") && !strings.HasPrefix(f.Name, ".xsi:") && f.Name != ".encodingStyle" {
			f.Name = local(f.Name)
			out = append(out, f)
		}
	}
	return out
}

// markCData notes which texts stand in CDATA.
func markCData(fields []Field, document string) {
	for i := range fields {
		f := &fields[i]
		if len(f.Nested) > 0 || f.leaf() {
			at := strings.Index(document, local(f.Name)+"><![CDATA[")
			f.CData = at > 0
			continue
		}
		markCData(f.Children, document)
	}
}
