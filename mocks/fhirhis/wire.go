package fhirhis

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/fault"
)

const fhirType = "application/fhir+json;charset=utf-8"

// resource of FHIR, as JSON has it.
type resource = map[string]any

// reply is an answer before it is written, and what the journal says of it.
type reply struct {
	status int
	body   resource
	effect string
}

func (a reply) answer() fault.Answer {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a.body); err != nil {
		panic(err) // our own maps
	}
	return fault.Answer{Status: a.status, Type: fhirType, Body: b.Bytes()}
}

// issue is an OperationOutcome; what the server counts as information stands beside
// what went wrong, as servers do.
func issue(status int, code, words string) reply {
	return reply{status, resource{"resourceType": "OperationOutcome", "issue": []resource{
		{"severity": "information", "code": "informational", "diagnostics": "请求已接收"},
		{"severity": "error", "code": code, "details": resource{"text": words}},
	}}, "refused: " + words}
}

func refuse(words string) reply { return issue(http.StatusUnprocessableEntity, "business-rule", words) }

// play answers one request through the fault script, if its token is good.
func (h *HIS) play(w http.ResponseWriter, r *http.Request, operation, key string, act func(fault.Kind) reply) {
	note := func(effect string, kind fault.Kind) { h.books.Note(operation, key, effect, string(kind)) }
	h.script.Play(w, r, fault.Exchange{
		Operation: operation, Key: key, Latency: h.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			a := issue(http.StatusUnauthorized, "login", "令牌无效或已过期")
			if token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); operation == "token" || bearer && h.tokens.good(token) {
				a = act(kind)
			}
			note(a.effect, kind)
			return a.answer()
		},
		Busy: func() fault.Answer {
			return issue(http.StatusTooManyRequests, "throttled", "请求过多，请稍后再试").answer()
		},
		Reject: func() fault.Answer { return refuse(fault.RejectWords).answer() },
		Crash: func() fault.Answer {
			return issue(http.StatusInternalServerError, "exception", "服务器内部错误").answer()
		},
		Recode: func(b []byte) []byte {
			recoded, err := simplifiedchinese.GB18030.NewEncoder().Bytes(b)
			if err != nil {
				return b
			}
			return recoded
		},
		Idle: fault.Idle(note),
	})
}

// at walks into a resource: names of objects, "0" the first of a list, "system=x"
// the one of a list whose system is x. What is not there is "".
func at(v any, path ...string) any {
	for _, step := range path {
		switch now := v.(type) {
		case resource:
			v = now[step]
		case []any:
			v = nil
			name, want, named := strings.Cut(step, "=")
			for _, item := range now {
				if m, ok := item.(resource); ok && (!named || m[name] == want) {
					v = m
					break
				}
			}
		default:
			return nil
		}
	}
	return v
}

func text(v any, path ...string) string {
	switch t := at(v, path...).(type) {
	case string:
		return t
	case json.Number:
		return t.String()
	}
	return ""
}

func list(v any, path ...string) []any {
	l, _ := at(v, path...).([]any)
	return l
}

// read parses a resource and keeps how its numbers are written.
func read(body []byte) (resource, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v resource
	return v, d.Decode(&v) == nil && v != nil
}
