package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"hishub/cmd/hishub/player"
	"hishub/core"
	"hishub/core/redis"
	"hishub/mapping"
)

// hospitalTry says one message in a dialect.
type hospitalTry struct {
	variables
	Folder   string            `arg:"" help:"Hospital folder."`
	Kind     string            `arg:"" optional:"" help:"Transaction, as payment.settle."`
	File     string            `arg:"" optional:"" help:"The canonical message, JSON or YAML; - is standard input. Of what comes from the HIS: its request, a whole HTTP request or a body."`
	Case     string            `help:"Take message, given values and answers of this case instead." placeholder:"NAME"`
	Step     string            `help:"Step of a transaction in several, or \"<step> undo\"; all that apply if none." placeholder:"NAME"`
	Captured map[string]string `help:"A value that an earlier step captured, NAME=VALUE. May be given again." mapsep:"none"`
	Answer   []string          `help:"Read this recorded answer instead of asking anybody. Given again, it is the next step's." xor:"source" placeholder:"FILE" sep:"none"`
	Mock     bool              `help:"Ask the folder itself, played as a HIS for as long as it takes; see 'hishub mock --hospital'." xor:"source"`
	Send     bool              `help:"Send it to the HIS, for real, outside the queue: nothing remembers that it was sent. Of several steps, one." xor:"source"`
	Result   string            `help:"Of what comes from the HIS: what became of it, as {\"state\":\"done\",\"answer\":{...}}; shows the reply." placeholder:"JSON"`
	Record   string            `help:"Make a case of it, cases/<kind>.NAME, with made-up people. Needs an answer." placeholder:"NAME"`
	Unmasked bool              `help:"Record a sealed answer although it holds people that cannot be replaced."`
	Hex      bool              `help:"Show the bytes in hex beside their characters."`
	JSON     bool              `name:"json" help:"For scripts."`
}

func (hospitalTry) Help() string {
	return "Examples:\n  hishub hospital try mapping/hospitals/dongshan prescription.create rx.json\n  hishub hospital try mapping/hospitals/dongshan payment.settle pay.yaml --answer pre.xml --answer confirm.xml\n  hishub hospital try mapping/hospitals/dongshan --case payment.settle.whole --hex\n  hishub hospital try mapping/hospitals/dongshan payment.settle pay.yaml --mock\n  hishub hospital try mapping/hospitals/dongshan payment.settle pay.yaml --send --env test.env\n  hishub hospital try mapping/hospitals/dongshan refund.apply request.http --result '{\"state\":\"done\",\"answer\":{\"number\":\"R1\"}}'\n\nShows the message, what each layer makes of it, the exact bytes, and with an answer what every rule says of it. Without --send, variables that are not set are taken from the folder's env.sample, for a case all of them, and sessions are made up."
}

// trial is one try at work.
type trial struct {
	*hospitalTry
	folder  *mapping.Folder
	played  *player.Player // with --mock
	kind    core.Kind
	in      core.Input
	answers [][]byte
	shown   tried
	// exchanges as they were, for recording.
	exchanges []exchanged
}

// exchanged is one exchange of a trial.
type exchanged struct {
	call *core.Call
	mapping.Witnessed
	verdict core.Verdict
	answer  []byte // as core.Offline reads it; nil: none
}

func (c *hospitalTry) Run(ctx context.Context) error {
	if err := c.set(); err != nil {
		return err
	}
	folder, played, err := c.load(ctx)
	if err != nil {
		return inFolder(c.Folder, err)
	}
	if played != nil {
		defer played.Close()
	}
	t := &trial{hospitalTry: c, folder: folder, played: played}
	transaction, _ := core.Lookup(core.Kind(c.Kind))
	if c.Record != "" && len(c.Answer) == 0 && !c.asks() && c.Case == "" && transaction.Mode != core.Inbound {
		return errors.New("to record, an answer is needed: say --send or --mock, or --answer with a recorded one")
	}
	t.shown.Hospital = folder.Dialect.Hospital
	if c.Case != "" {
		if c.Kind != "" || c.File != "" {
			return errors.New("a case brings its own message; leave the other arguments out")
		}
		cases := namesIn(filepath.Join(c.Folder, "cases"), "")
		if !slices.Contains(cases, c.Case) {
			return fmt.Errorf("case %s: there is none in %s%s", c.Case, filepath.Join(c.Folder, "cases"), didYouMean(c.Case, cases))
		}
		g, err := folder.Given(c.Case)
		if err != nil {
			return err
		}
		t.kind, t.in = g.Kind, g.In
		if len(c.Answer) == 0 && !c.asks() {
			t.answers = g.Answers
		}
		if c.Step == "" {
			c.Step = g.Step
		}
		if g.Request != nil {
			return t.inbound(g.Request, &g.Result)
		}
	} else if err := t.read(); err != nil {
		return err
	}
	if transaction, ok := core.Lookup(t.kind); ok && transaction.Mode == core.Inbound {
		request, err := readInput(c.File)
		if err != nil {
			return err
		}
		return t.inbound(request, nil)
	}
	for name, value := range c.Captured {
		if t.in.Captured == nil {
			t.in.Captured = map[string]string{}
		}
		t.in.Captured[name] = value
	}
	for _, file := range c.Answer {
		recorded, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		t.answers = append(t.answers, recorded)
	}
	return t.run(ctx)
}

// load compiles the folder for this machine, to look at it, or against a HIS that is
// the folder itself at play.
func (c *hospitalTry) load(ctx context.Context) (*mapping.Folder, *player.Player, error) {
	files := os.DirFS(c.Folder)
	switch {
	case c.Send:
		f, err := loadFolder(files)
		return f, nil, err
	case !c.Mock && c.Case != "":
		f, err := loadCases(files)
		return f, nil, err
	case !c.Mock:
		f, err := loadSample(files)
		return f, nil, err
	}
	sample, err := readSample(files)
	if err != nil {
		return nil, nil, err
	}
	env := func(name string) (string, bool) {
		if v, ok := os.LookupEnv(name); ok {
			return v, true
		}
		v, ok := sample[name]
		return v, ok
	}
	p, err := player.Start(ctx, player.Options{Folder: files, Env: env})
	if err != nil {
		return nil, nil, err
	}
	led := p.Env()
	f, err := compile(files, mapping.Options{Env: func(name string) (string, bool) {
		if v, ok := led[name]; ok {
			return v, true
		}
		return env(name)
	}})
	if err != nil {
		p.Close()
		return nil, nil, err
	}
	return f, p, nil
}

// asks reports whether somebody is asked.
func (c *hospitalTry) asks() bool { return c.Send || c.Mock }

// read takes kind and message from the arguments.
func (t *trial) read() error {
	t.kind = core.Kind(t.Kind)
	if t.Kind == "" || t.File == "" {
		return errors.New("say what to try: a transaction and a file with its message, or --case")
	}
	if transaction, ok := core.Lookup(t.kind); ok && transaction.Mode == core.Inbound {
		return nil
	}
	if t.folder.Dialect.Operations[t.kind] == nil {
		return fmt.Errorf("this folder has no %s; it has %s", t.kind, strings.Join(kinds(t.folder), ", "))
	}
	data, err := readInput(t.File)
	if err == nil {
		data, err = canonicalJSON(t.File, data)
	}
	if err != nil {
		return err
	}
	body, err := core.DecodeBody(t.kind, data)
	if err == nil {
		err = body.Validate()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t.File, err)
	}
	t.in = core.Input{Body: body, Kind: t.kind}
	return nil
}

func readInput(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}

// canonicalJSON makes JSON of a message in YAML. Whatever begins like JSON is.
func canonicalJSON(file string, data []byte) ([]byte, error) {
	ext := filepath.Ext(file)
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) || file != "-" && ext != ".yaml" && ext != ".yml" {
		return data, nil
	}
	out, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", file, yaml.FormatError(err, false, false))
	}
	return out, nil
}

// run goes through the steps, shows them and records them.
func (t *trial) run(ctx context.Context) error {
	operation := t.folder.Dialect.Operations[t.kind]
	if operation == nil {
		return fmt.Errorf("this folder has no %s; it has %s", t.kind, strings.Join(kinds(t.folder), ", "))
	}
	calls, err := callsOf(operation, t.kind, t.Step)
	if err != nil {
		return err
	}
	if t.Record != "" {
		// Before anything is sent: afterwards it would be too late to choose a name.
		if _, err := newRecording(t.Folder, t.kind, t.Record); err != nil {
			return err
		}
	}
	client := redis.Embedded()
	defer client.Close()
	hospital, err := openHospital(t.folder.Dialect, 0, redis.NewSessions(client), nil)
	if err != nil {
		return err
	}
	defer hospital.Close()
	if t.in.Stamp.ID == "" {
		t.in.Stamp = hospital.Stamp(t.in.Body.Key(), time.Now(), 1)
	}
	message, err := plainJSON(t.in.Body)
	if err != nil {
		return err
	}
	t.shown.Kind, t.shown.Message = t.kind, message
	failed := t.steps(ctx, hospital, calls)
	if failed == nil && len(t.answers) > len(t.exchanges) && t.Case == "" {
		failed = fmt.Errorf("there are %s, but only %s", core.Count(len(t.answers), "answer", "answers"), core.Count(len(t.exchanges), "exchange", "exchanges"))
	}
	if t.JSON {
		err = printJSON(t.shown)
	} else {
		t.shown.print(os.Stdout)
	}
	if err = errors.Join(err, failed); err != nil || t.Record == "" {
		return err
	}
	return t.record()
}

// steps makes the exchanges, one after the other as long as they go well. The
// error is of what could not be said at all.
func (t *trial) steps(ctx context.Context, h *core.Hospital, calls []stepCall) error {
	in, early := t.in, false // early: an earlier step was not answered
	for _, s := range calls {
		if s.when != nil && t.Step == "" {
			applies, err := s.when(in)
			if err != nil && !early {
				return err
			}
			if err == nil && !applies {
				continue
			}
		}
		var answer []byte
		if n := len(t.exchanges); n < len(t.answers) {
			answer = t.answers[n]
		}
		x, err := t.exchange(ctx, h, s.call, in, answer)
		if err != nil {
			if !early {
				return err
			}
			return nil // it says so, and what is missing may be why
		}
		went := x.verdict.Outcome == "" || x.verdict.Outcome == core.OutcomeOK || x.verdict.Outcome == core.OutcomeAlready
		if t.Send {
			return t.oneOf(x, in, went)
		}
		if !went {
			return nil
		}
		early = early || answer == nil && !t.asks()
		in.Captured = x.captured(in)
	}
	return nil
}

// exchange makes one exchange, or shows what it would be.
func (t *trial) exchange(ctx context.Context, h *core.Hospital, call *core.Call, in core.Input, answer []byte) (*exchanged, error) {
	watched := *call
	witness := mapping.Watch(call.Mapper)
	watched.Mapper = witness
	spec := t.folder.Dialect.Connectors[call.Connector]
	x := exchanged{call: call}
	shown := t.newShown(call, spec)
	if t.asks() {
		return t.sent(ctx, h, &watched, in, witness, x, shown)
	}
	if call.Session != "" && len(in.Session) == 0 {
		in.Session = mapping.MadeUpSession(t.folder.Dialect.Sessions[call.Session])
		shown.SessionMadeUp = true
	}
	q, err := witness.Encode(in)
	x.Witnessed = witness.Exchanges[0]
	shown.asked(x.Asked)
	defer func() { t.shown.Exchanges = append(t.shown.Exchanges, shown) }()
	if err != nil {
		shown.Error = err.Error()
		return nil, err
	}
	offline, err := openOffline(spec)
	if err != nil {
		return nil, err
	}
	defer offline.Close()
	wire, err := offline.Write(q)
	if err != nil {
		shown.Error = err.Error()
		return nil, err
	}
	shown.Wire = shown.bytes(wire)
	if answer != nil {
		x.answer = answer
		shown.Answer = shown.bytes(answer)
		r, err := offline.Read(q, answer)
		if err != nil {
			x.verdict = core.Verdict{Outcome: core.Outcome(core.ClassOf(err)), Err: err}
			shown.judged(mapping.ExplainedAnswer{Rules: mapping.Unjudged(call.Mapper), Verdict: x.verdict}, x.Asked)
		} else {
			x.verdict = witness.Decode(in, r)
			x.Witnessed = witness.Exchanges[0]
			shown.judged(*x.Answer, x.Asked)
		}
	}
	t.exchanges = append(t.exchanges, x)
	return &x, nil
}

// stepCall is an exchange of an operation, and when it is made.
type stepCall struct {
	call *core.Call
	when func(core.Input) (bool, error)
}

// callsOf are all steps, or the named one; "<step> undo" is its undo.
func callsOf(o *core.Operation, kind core.Kind, name string) ([]stepCall, error) {
	var all []stepCall
	var names []string
	for i := range o.Steps {
		s := &o.Steps[i]
		own := strings.TrimPrefix(strings.TrimPrefix(s.Name, string(kind)), " ")
		if name != "" && name == own {
			return []stepCall{{&s.Call, nil}}, nil
		}
		if s.Undo != nil && name == strings.TrimSpace(own+" undo") {
			return []stepCall{{&s.Undo.Call, nil}}, nil
		}
		all = append(all, stepCall{&s.Call, s.When})
		names = append(names, s.Name)
	}
	if name != "" {
		return nil, fmt.Errorf("no step %s; there are %s", name, strings.Join(names, ", "))
	}
	return all, nil
}

func kinds(f *mapping.Folder) (names []string) {
	for _, t := range core.Catalogue {
		if f.Dialect.Operations[t.Kind] != nil {
			names = append(names, string(t.Kind))
		}
	}
	return names
}
