package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"hishub/connectors/charset"
	"hishub/core"
	"hishub/mapping"
)

// caseName is what stands behind the operation in a case's name.
var caseName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// recording is a case that is to be written into a hospital folder.
type recording struct {
	dir      string
	name     string // "payment.settle.paid-twice"
	kind     core.Kind
	step     string
	unmasked bool
	live     *core.Dialect // with the secrets that the exchange was made with
}

func newRecording(dir string, kind core.Kind, name string) (*recording, error) {
	if name != "" && !caseName.MatchString(name) {
		return nil, fmt.Errorf("%q cannot be a case's name: use lower-case letters, digits and -", name)
	}
	r := &recording{dir: dir, kind: kind, name: string(kind)}
	if name != "" {
		r.name += "." + name
	}
	if _, err := os.Stat(r.path()); err == nil {
		return nil, fmt.Errorf("%s is there already; choose another name, or delete it", r.path())
	}
	return r, nil
}

func (r *recording) path() string { return filepath.Join(r.dir, "cases", r.name) }

// write makes the case, runs it and only then gives it its name. Nothing is left
// behind when it fails.
func (r *recording) write(all []exchanged) error {
	folder, err := loadCases(os.DirFS(r.dir))
	if err != nil {
		return inFolder(r.dir, err)
	}
	operation := folder.Dialect.Operations[r.kind]
	if operation == nil {
		return fmt.Errorf("this folder has no %s", r.kind)
	}
	calls, err := callsOf(operation, r.kind, r.step)
	if err != nil {
		return err
	}
	options := mapping.RecordOptions{Kind: r.kind, Step: r.step, Unmasked: r.unmasked, Charset: (*charset.Charset)(nil)}
	options.Secrets = r.secretsNotIn(folder.Dialect)
	var exchanges []mapping.Exchanged
	for _, x := range all {
		e := mapping.Exchanged{Call: callNamed(calls, x.call.Name), In: x.In, Answer: x.answer, Verdict: x.verdict}
		if e.Call == nil {
			return fmt.Errorf("this folder has no step %s", x.call.Name)
		}
		if x.Answer != nil {
			e.Values = x.Answer.Values
		}
		spec := folder.Dialect.Connectors[e.Call.Connector]
		name, _ := spec.Options["charset"].(string)
		text := charsetNamed(name)
		options.Charset = text
		if content, ok := framed(spec, x); ok {
			// The frame's length would not be that of the text with made-up people.
			if e.Answer, err = text.Encode(nil, content); err != nil {
				return err
			}
		}
		exchanges = append(exchanges, e)
	}
	recorded, err := folder.Record(exchanges, options)
	if err != nil {
		return fmt.Errorf("record %s: %w", r.name, err)
	}
	if err := r.place(folder, recorded); err != nil {
		return err
	}
	r.tell(recorded)
	return nil
}

// framed is the text in an answer over a bare connection.
func framed(spec core.ConnectorSpec, x exchanged) (string, bool) {
	if spec.Kind != "tcp" || x.Response == nil {
		return "", false
	}
	return core.Text(x.Response.Body)
}

// secretsNotIn are the secrets of the exchange that the samples do not have.
func (r *recording) secretsNotIn(samples *core.Dialect) []string {
	known := map[string]bool{}
	for _, s := range samples.Secrets {
		known[s] = true
	}
	var out []string
	for _, s := range r.live.Secrets {
		if !known[s] {
			out = append(out, s)
		}
	}
	return out
}

func callNamed(calls []stepCall, name string) *core.Call {
	for _, c := range calls {
		if c.call.Name == name {
			return c.call
		}
	}
	return nil
}

// place writes the files beside the cases under a name that is no case's, and
// renames them when the case passes.
func (r *recording) place(folder *mapping.Folder, recorded *mapping.Recording) (err error) {
	cases := filepath.Join(r.dir, "cases")
	_, missing := os.Stat(cases)
	if err := os.MkdirAll(cases, 0o755); err != nil {
		return err
	}
	hidden, err := os.MkdirTemp(cases, ".recording-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(hidden)
			if errors.Is(missing, os.ErrNotExist) {
				os.Remove(cases)
			}
		}
	}()
	for _, name := range sortedKeys(recorded.Files) {
		if err := os.WriteFile(filepath.Join(hidden, name), recorded.Files[name], 0o644); err != nil {
			return err
		}
	}
	result := folder.RunCase(r.name, "cases/"+filepath.Base(hidden))
	if !result.Passed() {
		return fmt.Errorf("record %s: the case does not pass, so nothing was written: %s", r.name, result.Differences[0])
	}
	if err := os.Chmod(hidden, 0o755); err != nil {
		return err
	}
	return os.Rename(hidden, r.path())
}

// tell says what was masked, without any value.
func (r *recording) tell(recorded *mapping.Recording) {
	w := os.Stderr // what was tried stands in the output, perhaps for a script
	fmt.Fprintf(w, "recorded %s:\n", r.path())
	for _, name := range sortedKeys(recorded.Files) {
		fmt.Fprintf(w, "  %s\n", name)
	}
	if len(recorded.Masked) == 0 {
		fmt.Fprintln(w, "nothing in it was masked")
	}
	for _, field := range sortedKeys(recorded.Masked) {
		fmt.Fprintf(w, "masked: %s, %s\n", field, core.Count(recorded.Masked[field], "time", "times"))
	}
	fmt.Fprintln(w, "Read it before you commit it: a person that only the HIS names in its own words may still be there.")
}

func charsetNamed(name string) *charset.Charset {
	if name == "" {
		name = "UTF-8"
	}
	c, err := charset.New(name, "refuse")
	if err != nil {
		return nil // the folder was checked when it was loaded
	}
	return c
}

// record makes a case of what was tried.
func (t *trial) record() error {
	r, err := newRecording(t.Folder, t.kind, t.Record)
	if err != nil {
		return err
	}
	r.step, r.unmasked, r.live = t.Step, t.Unmasked, t.folder.Dialect
	all := t.exchanges
	if len(all) > 0 && r.step == "" && len(t.folder.Dialect.Operations[t.kind].Steps) > 1 && (t.Send || len(t.answers) == 1) {
		// One of several steps.
		all = all[:1]
		r.step = all[0].call.Name
	}
	for _, x := range all {
		if x.answer == nil {
			return fmt.Errorf("%s has no answer, so there is nothing to record", x.call.Name)
		}
	}
	return r.write(all)
}
