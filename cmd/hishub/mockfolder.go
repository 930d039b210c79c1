package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"hishub/cmd/hishub/player"
)

// mockFolder plays hospital folders as their HIS.
type mockFolder struct {
	Hospital []string      `help:"Hospital folder to play; may be repeated." placeholder:"DIR"`
	More     []string      `arg:"" optional:"" name:"folder" help:"Further folders."`
	Listen   string        `help:"Address of the first entrance; further ones of the folder have the ports behind it, further folders any." default:"127.0.0.1:0"`
	Control  string        `help:"Address for the page, books and faults of the first folder: GET /, /exchanges and /booked, POST and DELETE /faults." default:"127.0.0.1:0"`
	Latency  time.Duration `help:"How long each request takes to be served." default:"0s"`
	Repeats  string        `help:"How a repeated key is answered: already, if a case of the folder says how, or the first answer again (same)." enum:"already,same" default:"already"`
	Seed     uint64        `help:"Seed of faults with a rate." default:"1"`
	JSON     bool          `name:"json" help:"One JSON object a line: the environment first, then each exchange."`
}

func (mockFolder) Help() string {
	return `Examples:
  hishub mock --hospital mapping/hospitals/dongshan --listen 127.0.0.1:7070
  hishub mock --hospital mapping/hospitals/dongshan mapping/hospitals/xihu --json

Prints the variables that lead a folder's connectors to the player, then each request: what was recognised, the text that came, the fields that it was made of, the answer and what the folder's own rules make of it. Answers come from the folder's cases, with the values of the request put in; where there is no case, from its rules. Variables that are not set are taken from the folder's env.sample.

Patients stand in the requests as they are sent. Use made-up ones.`
}

func (c *mockFolder) Run(ctx context.Context) error {
	folders := slices.Concat(c.Hospital, c.More)
	if len(folders) == 0 {
		return errors.New("name a folder: hishub mock --hospital DIR; or one of the fakes, see hishub mock --help")
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %q: write an address like 127.0.0.1:7070", c.Listen)
	}
	show := &shown{to: os.Stdout, json: c.JSON}
	listen, control := c.Listen, c.Control
	for _, name := range folders {
		files := os.DirFS(name)
		sample, err := readSample(files)
		if err != nil {
			return inFolder(name, err)
		}
		repeats := ""
		if c.Repeats == "same" {
			repeats = "same"
		}
		p, err := player.Start(ctx, player.Options{
			Folder: files, Listen: listen, Control: control, Latency: c.Latency, Seed: c.Seed, Repeats: repeats, Heard: show.exchange,
			Env: func(name string) (string, bool) {
				if v, ok := os.LookupEnv(name); ok {
					return v, true
				}
				v, ok := sample[name]
				return v, ok
			},
		})
		if err != nil {
			return inFolder(name, err)
		}
		defer p.Close()
		show.environment(p)
		listen, control = net.JoinHostPort(host, "0"), "127.0.0.1:0"
	}
	<-ctx.Done()
	return nil
}

// shown writes what hospital IT sees, one exchange after the other.
type shown struct {
	mu   sync.Mutex
	to   io.Writer
	json bool
}

func (s *shown) environment(p *player.Player) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := p.Folder().Dialect
	if s.json {
		_ = json.NewEncoder(s.to).Encode(map[string]any{"hospital": d.Hospital, "env": p.Env(), "addresses": p.Addresses(), "control": p.ControlURL()})
		return
	}
	fmt.Fprintf(s.to, "%s (%s) is played. Set for the hub:\n", d.Name, d.Hospital)
	env := p.Env()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(s.to, "  %s=%s\n", name, env[name])
	}
	fmt.Fprintf(s.to, "page, books and faults: %s\n", p.ControlURL())
}

func (s *shown) exchange(x player.Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.json {
		_ = json.NewEncoder(s.to).Encode(x)
		return
	}
	name := x.Name
	if name == "" {
		name = "not recognised"
	}
	fmt.Fprintf(s.to, "\n%s %s #%d %s", x.At.Format("15:04:05.000"), x.Hospital, x.No, name)
	if x.Key != "" {
		fmt.Fprintf(s.to, ", key %s", x.Key)
	}
	fmt.Fprintf(s.to, " (%s)\n%s", strings.TrimSpace(x.Connector+" "+x.Call), asLines(x.Request))
	if len(x.Fields) > 0 {
		fmt.Fprintln(s.to, "  made of:")
		for _, path := range slices.Sorted(maps.Keys(x.Fields)) {
			fmt.Fprintf(s.to, "    %s: %s\n", path, x.Fields[path])
		}
	}
	for what, places := range map[string][]string{"lost something on the way": x.Weak, "cannot be read back": x.Unread, "computed, and right": x.Verified} {
		if len(places) > 0 {
			fmt.Fprintf(s.to, "  %s: %s\n", what, strings.Join(places, ", "))
		}
	}
	if x.Answer != "" {
		from := ""
		if x.Case != "" {
			from = ", as in cases/" + x.Case
		}
		fmt.Fprintf(s.to, "  answer%s:\n%s", from, asLines(x.Answer))
	}
	if x.Fault != "" {
		fmt.Fprintf(s.to, "  fault: %s\n", x.Fault)
	}
	if x.Outcome != "" {
		fmt.Fprintf(s.to, "  your rules read: %s %s\n", x.Outcome, x.Words)
	}
	for _, t := range x.Trouble {
		fmt.Fprintf(s.to, "  ! %s\n", t)
	}
}

// asLines is text as it came, where line ends of any kind are shown as lines.
func asLines(text string) string {
	return indented(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "    ")
}
