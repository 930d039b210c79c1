package mapping

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"

	"hishub/core"
)

// Told is something that the HIS told or asked us, of which a case is to be made.
type Told struct {
	// Listener belongs to the folder that records.
	Listener *core.Listener
	// Request is a whole HTTP request with the path below the listener, or a body.
	Request []byte
	Stamp   core.Stamp
	// Taken: the request was taken when it came.
	Taken  bool
	Result core.Resolution
}

// RecordInbound makes a case of what the HIS told, in which nobody can be recognised:
// the request has made-up people, and the reply is what the folder says to that.
func (f *Folder) RecordInbound(x Told, o RecordOptions) (*Recording, error) {
	r := &recorder{folder: f, RecordOptions: o, files: map[string][]byte{}}
	r.made = newMadeUp(func(s string) ([]byte, bool) {
		b, err := o.Charset.Encode(nil, s)
		return b, err == nil
	})
	stamp := r.input(core.Input{Stamp: x.Stamp, Body: nothingSaid{}}, nothingSaid{}).Stamp
	_, opened, err := openTold(x.Listener, x.Request, stamp)
	if err != nil {
		return nil, err
	}
	if opened.Body != nil {
		r.learnBody("", opened.Body)
	} else if x.Taken {
		return nil, fmt.Errorf("with the secrets of env.sample the request is not taken (%w): is it signed or sealed? Write such a case by hand, with the hospital's test keys", opened.Err)
	}
	if x.Result.Answer != nil {
		r.learnBody("answer.", x.Result.Answer)
	}
	if text, err := r.read(Exchanged{Answer: x.Request}); err == nil {
		r.made.shapes(text)
	}
	r.masks = r.made.replacer()
	if err := r.told(x, stamp); err != nil {
		return nil, err
	}
	if err := r.clean(); err != nil {
		return nil, err
	}
	return &Recording{Files: r.files, Masked: r.made.masked}, nil
}

// nothingSaid stands for the message of a request that is not opened yet: the stamp
// of something inbound has no key.
type nothingSaid struct{ core.Body }

func (nothingSaid) Key() string { return "" }

func openTold(l *core.Listener, request []byte, stamp core.Stamp) (core.Arrival, core.Opened, error) {
	q, err := recordedRequest(request)
	if err != nil {
		return core.Arrival{}, core.Opened{}, err
	}
	arrival, err := l.Wire.Read(q)
	if err != nil {
		return arrival, core.Opened{}, fmt.Errorf("what cannot be read at all makes no case: %w", err)
	}
	return arrival, l.Door.Open(arrival, stamp), nil
}

// told writes the files of the case.
func (r *recorder) told(x Told, stamp core.Stamp) error {
	request, err := r.answer(Exchanged{Answer: x.Request})
	if err != nil {
		return err
	}
	arrival, opened, err := openTold(x.Listener, request, stamp)
	if err != nil {
		return err
	}
	result := x.Result
	result.Message = r.masks.Replace(result.Message)
	if result.Answer, err = r.maskAnswer(result.Answer); err != nil {
		return err
	}
	var expect yaml.MapSlice
	switch {
	case opened.Body != nil && opened.Kind != r.Kind:
		return fmt.Errorf("this is a request for %s", opened.Kind)
	case opened.Body != nil:
		expect = yaml.MapSlice{{Key: "takes", Value: ordered(opened.Body)}}
	case x.Taken:
		return fmt.Errorf("with made-up people the request is not taken any more (%w): is it signed or sealed? Write such a case by hand, with the hospital's test data and keys", opened.Err)
	default:
		expect = yaml.MapSlice{{Key: "outcome", Value: string(core.ResultInvalid)}, {Key: "invalid", Value: r.masks.Replace(fmt.Sprint(opened.Err))}}
		result.State = core.ResultInvalid
	}
	reply, err := x.Listener.Door.Reply(opened, result, stamp)
	if err != nil {
		return fmt.Errorf("the reply cannot be said: %w", err)
	}
	out, err := x.Listener.Wire.Write(arrival, reply)
	if err != nil {
		return fmt.Errorf("the reply cannot be said: %w", err)
	}
	r.files["request"+toldEnding(x.Listener.Kind, request)] = request
	if x.Listener.Kind == "table" {
		r.files["answer.sql"] = out.Body
	} else {
		r.files["answer"+answerEnding(x.Listener.Kind, out.Body)] = out.Body
	}
	if err := r.given(core.Input{Stamp: stamp}); err != nil {
		return err
	}
	said := yaml.MapSlice{{Key: "state", Value: string(result.State)}}
	if result.Message != "" {
		said = append(said, yaml.MapItem{Key: "message", Value: result.Message})
	}
	if result.Answer != nil {
		said = append(said, yaml.MapItem{Key: "answer", Value: ordered(result.Answer)})
	}
	b, err := yaml.Marshal(yaml.MapSlice{{Key: "result", Value: said}})
	if err != nil {
		return err
	}
	r.files["given.yaml"] = append(r.files["given.yaml"], b...)
	r.files["expect.yaml"], err = yaml.MarshalWithOptions(expect, yaml.IndentSequence(true))
	return err
}

// maskAnswer gives what we answer with made-up people.
func (r *recorder) maskAnswer(answer any) (any, error) {
	if answer == nil {
		return nil, nil
	}
	t, ok := core.Lookup(r.Kind)
	if !ok || t.Answer == nil {
		return nil, errors.New("nothing is answered to " + string(r.Kind))
	}
	text, err := yaml.MarshalWithOptions(ordered(answer), yaml.JSON())
	if err != nil {
		return nil, err
	}
	masked := t.Answer()
	return masked, core.DecodeStrict([]byte(r.masks.Replace(string(text))), masked)
}

func toldEnding(kind string, request []byte) string {
	first, _, _ := bytes.Cut(request, []byte("\n"))
	switch {
	case bytes.HasSuffix(bytes.TrimRight(first, "\r"), []byte(" HTTP/1.1")):
		return ".http"
	case kind == "table":
		return ".json"
	}
	return answerEnding(kind, request)
}
