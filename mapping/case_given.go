package mapping

import (
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"hishub/core"
)

// Given is what a case gives, without what it expects.
type Given struct {
	Kind core.Kind
	// In is what the exchange sees; without Body for what comes from the HIS.
	In core.Input
	// Step is the one step that the case is about, "" for all.
	Step string
	// Answers are the recorded ones, of the first step first; of what comes from
	// the HIS it is the one Request.
	Answers [][]byte
	Request []byte
	Result  core.Resolution
}

// Given reads a case of the folder by its name, "payment.settle.alipay". The
// error says what of it cannot be read.
func (f *Folder) Given(name string) (Given, error) {
	c := &caseRun{folder: f, dir: path.Join("cases", name)}
	out, err := c.given(name)
	if err == nil && len(c.differences) > 0 {
		err = fmt.Errorf("%s", strings.Join(c.differences, "; "))
	}
	if err != nil {
		return Given{}, fmt.Errorf("case %s: %w", name, err)
	}
	return out, nil
}

func (c *caseRun) given(name string) (out Given, err error) {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 2 || strings.ContainsAny(name, `/\`) {
		return out, fmt.Errorf("a case is named <operation>[.<name>], as payment.settle.alipay")
	}
	out.Kind = core.Kind(parts[0] + "." + parts[1])
	t, ok := core.Lookup(out.Kind)
	if !ok {
		return out, fmt.Errorf("there is no operation %s", out.Kind)
	}
	var g given
	if !c.readYAML("given.yaml", true, &g) {
		return out, nil
	}
	out.Step = g.Step
	if t.Mode == core.Inbound {
		if out.Request, name, err = c.recorded("request"); err == nil && name == "" {
			err = fmt.Errorf("there is no request.*")
		}
		out.Result, _ = c.result(t, &g)
		out.In, _ = c.input(nil, &g)
		return out, err
	}
	data, err := readRegular(c.folder.files, path.Join(c.dir, "message.json"))
	if err != nil {
		return out, fmt.Errorf("message.json: %w", cause(err))
	}
	body, err := core.DecodeBody(out.Kind, bytes.TrimPrefix(data, []byte(mark)))
	if err != nil {
		return out, fmt.Errorf("message.json: %w", err)
	}
	out.In, _ = c.input(body, &g)
	out.In.Kind = out.Kind
	if g.Message.Kind != "" {
		out.In.Kind = g.Message.Kind
	}
	for n := 0; ; n++ {
		stem := "answer"
		if n > 0 {
			stem += "." + strconv.Itoa(n)
		}
		answer, file, err := c.recorded(stem)
		if err != nil {
			return out, err
		}
		if file == "" && n > 0 {
			return out, nil
		}
		if file != "" {
			out.Answers = append(out.Answers, answer)
		}
	}
}

// RecordedRequest reads what a HIS said from a file: a whole HTTP request, or the
// body of one.
func RecordedRequest(b []byte) (core.Incoming, error) { return recordedRequest(b) }

// MadeUpSession gives a session's values as no HIS gave them, for looking only.
func MadeUpSession(s *core.Session) map[string]string {
	values := map[string]string{}
	if s == nil {
		return values
	}
	if login, ok := s.Login.Mapper.(*mapper); ok {
		for _, c := range login.captures {
			values[c.name] = "made-up-" + c.name
		}
	}
	return values
}

// ListenerCharset is how what comes to a listener is spelled.
func (f *Folder) ListenerCharset(name string) string {
	var h struct {
		Listeners map[string]map[string]any `yaml:"listeners"`
	}
	data, err := readRegular(f.files, hospitalFile)
	if err != nil || yaml.Unmarshal(bytes.TrimPrefix(data, []byte(mark)), &h) != nil {
		return "UTF-8" // the folder was read before, so this does not happen
	}
	for _, options := range h.Listeners[name] {
		of, _ := options.(map[string]any)
		if charset, ok := of["charset"].(string); ok {
			return variable.ReplaceAllStringFunc(charset, func(v string) string {
				value, _ := f.options.Env(v[2 : len(v)-1])
				return value
			})
		}
	}
	return "UTF-8"
}
