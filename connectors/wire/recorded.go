package wire

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"hishub/core"
)

// Head is a request's head as Offline shows it: the request line, the headers
// that the request decides in the order of their names, a blank line.
func Head(method, uri string, headers []core.Field) []byte {
	lines := make([]string, 0, len(headers))
	for _, h := range headers {
		text, _ := core.Text(h.Value)
		lines = append(lines, h.Name+": "+text+"\n")
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	})
	return []byte(method + " " + uri + " HTTP/1.1\n" + strings.Join(lines, "") + "\n")
}

// Recorded is an answer from a file.
type Recorded struct {
	Status  int
	Headers core.Tree
	Body    []byte
}

// ReadRecorded reads a recorded answer: a whole HTTP answer if it starts with
// "HTTP/", else the body of a 200. Lines of the head may end in \n or \r\n.
func ReadRecorded(answer []byte) (Recorded, error) {
	if !bytes.HasPrefix(answer, []byte("HTTP/")) {
		return Recorded{Status: 200, Body: answer}, nil
	}
	r := Recorded{}
	line, rest := cutLine(answer)
	_, status, _ := strings.Cut(line, " ")
	status, _, _ = strings.Cut(status, " ")
	code, err := strconv.Atoi(status)
	if err != nil || code < 100 || code > 599 {
		return r, errors.New("the status line is not HTTP/1.1 200 OK")
	}
	r.Status = code
	headers := http.Header{}
	for {
		line, rest = cutLine(rest)
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return r, errors.New("a header line has no colon, or the blank line before the body is missing")
		}
		headers.Add(name, strings.TrimSpace(value))
	}
	r.Headers = Headers(headers)
	r.Body = rest
	return r, nil
}

func cutLine(b []byte) (string, []byte) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	return strings.TrimSuffix(string(line), "\r"), rest
}

// Headers of an answer as a tree: lower-case names in their order, a List where
// one came more than once. Retry-After is in seconds, also where it came as a date.
func Headers(h http.Header) core.Tree {
	t := make(core.Tree, 0, len(h))
	for name, values := range h {
		f := core.Field{Name: strings.ToLower(name)}
		wait := time.Duration(0)
		if name == "Retry-After" {
			wait = RetryAfter(h)
		}
		if wait > 0 {
			f.Value = strconv.Itoa(int(wait / time.Second))
		} else if len(values) == 1 {
			f.Value = values[0]
		} else {
			list := make(core.List, len(values))
			for i, v := range values {
				list[i] = v
			}
			f.Value = list
		}
		t = append(t, f)
	}
	slices.SortFunc(t, func(a, b core.Field) int { return strings.Compare(a.Name, b.Name) })
	return t
}

// RetryAfter is how long the HIS asked us to wait; 0 if it did not. A date is
// compared with the answer's own clock, which may differ from ours.
func RetryAfter(h http.Header) time.Duration {
	wait := time.Duration(0)
	text := h.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(n) * time.Second
	} else if until, err := http.ParseTime(text); err == nil {
		now, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		wait = until.Sub(now).Round(time.Second)
	}
	if wait < 0 || wait > 24*time.Hour {
		return 0
	}
	return wait
}
