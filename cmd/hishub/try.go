package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/redis"
	"hishub/mapping"
)

// hospitalTry says one message in a dialect.
type hospitalTry struct {
	Folder string `arg:"" help:"Hospital folder."`
	Kind   string `arg:"" help:"Transaction, as payment.settle."`
	File   string `arg:"" help:"The canonical message, JSON."`
	Step   string `help:"Step of a transaction in several; the first if none."`
	Answer string `help:"Read this recorded answer instead of asking anybody." xor:"send" placeholder:"FILE"`
	Send   bool   `help:"Send it to the HIS, for real, outside the queue: nothing remembers that it was sent." xor:"send"`
}

func (hospitalTry) Help() string {
	return "Examples:\n  hishub hospital try mapping/hospitals/dongshan prescription.create rx.json\n  hishub hospital try mapping/hospitals/dongshan payment.settle pay.json --step confirm --answer answer.xml\n\nShows the document, the exact bytes, and with --answer or --send what the answer means. Without --send, variables that are not set are taken from the folder's env.sample."
}

func (c *hospitalTry) Run(ctx context.Context) error {
	load := loadSample
	if c.Send {
		load = loadFolder
	}
	folder, err := load(os.DirFS(c.Folder))
	if err != nil {
		return inFolder(c.Folder, err)
	}
	kind := core.Kind(c.Kind)
	op := folder.Dialect.Operations[kind]
	if t, ok := core.Lookup(kind); ok && t.Mode == core.Inbound {
		return fmt.Errorf("%s comes from the HIS; write a case of it and run 'hishub hospital check'", kind)
	}
	if op == nil {
		return fmt.Errorf("this folder has no %s; it has %s", kind, strings.Join(kinds(folder), ", "))
	}
	step, err := stepOf(op, c.Step)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	body, err := core.DecodeBody(kind, data)
	if err == nil {
		err = body.Validate()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	client := redis.Embedded()
	defer client.Close()
	hospital, err := openHospital(folder.Dialect, 0, redis.NewSessions(client), nil)
	if err != nil {
		return err
	}
	defer hospital.Close()
	in := core.Input{Body: body, Kind: kind, Stamp: hospital.Stamp(body.Key(), time.Now(), 1)}

	if c.Send {
		x := hospital.Ask(ctx, &step.Call, in, nil)
		fmt.Printf("sent:\n%s\n\nreceived:\n%s\n\n", readable(x.Sent), readable(x.Received))
		return printVerdict(x.Verdict)
	}
	q, err := step.Mapper.Encode(in)
	if err != nil {
		return err
	}
	spec := folder.Dialect.Connectors[step.Connector]
	connector, err := connectors.Open(spec)
	if err != nil {
		return err
	}
	defer connector.Close()
	offline, ok := connector.(core.Offline)
	if !ok {
		return fmt.Errorf("connector %s cannot show what it would send", spec.Kind)
	}
	wire, err := offline.Write(q)
	if err != nil {
		return err
	}
	fmt.Printf("operation: %s over %s (%s)\nwire:\n%s\n", q.Operation, spec.Name, spec.Kind, readable(wire))
	if c.Answer == "" {
		return nil
	}
	recorded, err := os.ReadFile(c.Answer)
	if err != nil {
		return err
	}
	r, err := offline.Read(q, recorded)
	if err != nil {
		return err
	}
	return printVerdict(step.Mapper.Decode(in, r))
}

func kinds(f *mapping.Folder) (names []string) {
	for _, t := range core.Catalogue {
		if f.Dialect.Operations[t.Kind] != nil {
			names = append(names, string(t.Kind))
		}
	}
	return names
}

func stepOf(op *core.Operation, name string) (*core.Step, error) {
	var names []string
	for i := range op.Steps {
		if name == "" || op.Steps[i].Name == name {
			return &op.Steps[i], nil
		}
		names = append(names, op.Steps[i].Name)
	}
	return nil, fmt.Errorf("no step %s; there are %s", name, strings.Join(names, ", "))
}

func printVerdict(v core.Verdict) error {
	fmt.Println("outcome: ", v.Outcome)
	if v.Rule != "" {
		fmt.Println("rule:    ", v.Rule)
	}
	if v.Words != "" {
		fmt.Println("HIS says:", v.Words)
	}
	for _, k := range sortedKeys(v.Captured) {
		fmt.Printf("captured: %s = %s\n", k, v.Captured[k])
	}
	if v.Err != nil {
		fmt.Println("because: ", v.Err)
	}
	for _, what := range v.Forgave {
		fmt.Println("forgiven:", what)
	}
	if v.Answer != nil {
		fmt.Print("answer:   ")
		if err := printJSON(v.Answer); err != nil {
			return err
		}
	}
	if v.Outcome == core.OutcomeInvalid {
		return errors.New("this message cannot be said in this dialect")
	}
	return nil
}

// readable decodes bytes for a person: UTF-8, else GB18030.
func readable(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	if s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b); err == nil {
		return string(s) + "\n(decoded from GB18030)"
	}
	return fmt.Sprintf("%q", b)
}
