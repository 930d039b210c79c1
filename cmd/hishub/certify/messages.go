package certify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/goccy/go-yaml"

	"hishub/core"
)

// templates are the messages that the run makes its own from: those of --messages,
// else those of the folder's cases.
type templates struct {
	cases    fs.FS
	messages string // folder of <kind>.json; "" if there is none
	numbers  *numbers
	now      time.Time
}

// of gives a message of that kind that the HIS should take; nil if there is none.
func (t *templates) of(kind core.Kind) (core.Body, error) {
	if body, err := t.file(kind, string(kind)+".json"); body != nil || err != nil {
		return body, err
	}
	dirs, _ := fs.Glob(t.cases, "cases/"+string(kind)+"*")
	slices.SortStableFunc(dirs, func(a, b string) int { return t.rank(a) - t.rank(b) })
	var found core.Body
	for _, dir := range dirs {
		if name := path.Base(dir); name != string(kind) && !strings.HasPrefix(name, string(kind)+".") || t.rank(dir) > 2 {
			continue
		}
		data, err := fs.ReadFile(t.cases, path.Join(dir, "message.json"))
		if err != nil {
			continue
		}
		body, err := core.DecodeBody(kind, data)
		if err != nil || body.Validate() != nil {
			continue
		}
		// An amount of a fen leaves nothing to differ by; the next best case will do.
		if p, ok := body.(core.Priced); found == nil || ok && p.Total() >= enough {
			found = body
			if !ok || p.Total() >= enough {
				break
			}
		}
	}
	return found, nil
}

const enough = core.Fen(100)

// check reads all files of --messages before anything is sent. The error names
// the file and what is wrong with it.
func (t *templates) check() error {
	if t.messages == "" {
		return nil
	}
	files, err := os.ReadDir(t.messages)
	if err != nil {
		return err
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		kind := core.Kind(strings.TrimSuffix(name, ".refused"))
		if known, ok := core.Lookup(kind); !ok || known.Mode != core.Write {
			return fmt.Errorf("%s: not named after a write, as prescription.create.json or prescription.create.refused.json", filepath.Join(t.messages, f.Name()))
		}
		if _, err := t.file(kind, f.Name()); err != nil {
			return err
		}
	}
	return nil
}

// refused gives a message that the HIS must refuse; nil if there is none.
func (t *templates) refused(kind core.Kind) (core.Body, error) {
	return t.file(kind, string(kind)+".refused.json")
}

func (t *templates) file(kind core.Kind, name string) (core.Body, error) {
	if t.messages == "" {
		return nil, nil
	}
	name = filepath.Join(t.messages, name)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	body, err := core.DecodeBody(kind, data)
	if err == nil {
		err = body.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return body, nil
}

// rank prefers what was taken in one go over what was refused or is one step only.
func (t *templates) rank(dir string) int {
	var want struct {
		Outcome string `yaml:"outcome"`
		Invalid string `yaml:"invalid"`
		Steps   []struct {
			Outcome string `yaml:"outcome"`
		} `yaml:"steps"`
	}
	data, err := fs.ReadFile(t.cases, path.Join(dir, "expect.yaml"))
	if err != nil || yaml.NewDecoder(bytes.NewReader(data)).Decode(&want) != nil || want.Invalid != "" {
		return 3
	}
	for _, s := range want.Steps {
		want.Outcome = s.Outcome
	}
	switch core.Outcome(want.Outcome) {
	case core.OutcomeOK, core.OutcomeRunning:
		return 0
	case core.OutcomeAlready:
		return 1
	}
	return 2
}

// numbers makes business keys that no earlier run used, as long as those that the
// cases show, because a HIS cuts or refuses longer ones.
type numbers struct{ next atomic.Int64 }

func newNumbers(now time.Time) *numbers {
	n := &numbers{}
	n.next.Store(now.UnixMilli() * 10)
	return n
}

// like gives a fresh number in the shape of a sample: its digits are replaced
// from the right.
func (n *numbers) like(sample string) string {
	out := []byte(sample)
	digits := fmt.Sprintf("%018d", n.next.Add(1))
	at := len(digits)
	for i := len(out) - 1; i >= 0 && at > 0; i-- {
		if out[i] >= '0' && out[i] <= '9' {
			at--
			out[i] = digits[at]
		}
	}
	if taken := len(digits) - at; taken < 6 && len(sample)+8 <= 64 {
		return sample + digits[len(digits)-8:]
	}
	return string(out)
}

// copyOf is a deep copy of a message that was read from JSON.
func copyOf(body core.Body) core.Body {
	out := reflect.New(reflect.TypeOf(body).Elem()).Interface().(core.Body)
	data, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		panic("copy a canonical message: " + err.Error())
	}
	return out
}

// dear gives a message of the same key with another amount; nil if it has none.
func dear(body core.Body) core.Body {
	switch b := copyOf(body).(type) {
	case *core.Prescription:
		if last := len(b.Items) - 1; last > 0 {
			b.Amount -= b.Items[last].Amount
			b.Items = b.Items[:last]
		} else {
			b.Amount += b.Items[0].Amount
			b.Items = append(b.Items, b.Items[0])
		}
		return b
	case *core.Order:
		if last := len(b.Items) - 1; last > 0 {
			b.Amount -= b.Items[last].Amount
			b.Items = b.Items[:last]
		} else {
			b.Amount += b.Items[0].Amount
			b.Items = append(b.Items, b.Items[0])
		}
		return b
	case *core.Payment:
		b.Amount += 100
		return b
	case *core.AppointmentPayment:
		b.Amount += 100
		return b
	case *core.Refund:
		if b.Amount < 2 || len(b.Lines) > 0 {
			return nil
		}
		b.Amount--
		return b
	case *core.Invoice:
		b.Amount += 100
		return b
	}
	return nil
}
