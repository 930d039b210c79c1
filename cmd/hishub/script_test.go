package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hishub/mocks/fault"
	"hishub/mocks/robots"
	"hishub/mocks/servers"
	"hishub/mocks/soaphis"
)

// TestMain also makes the test binary the program itself, under its own name.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"hishub": main})
}

type tests struct{ m *testing.M }

func (t tests) Run() int { return servers.Main(t.m) }

// repository is the root of the source tree.
func repository(tb testing.TB) string {
	tb.Helper()
	root, err := filepath.Abs("../..")
	ok(tb, err)
	return root
}

// outside is what scripts must not inherit from whoever runs the tests.
var outside = []string{"DATABASE_URL", "AMQP_URL", "REDIS_URL", "HISHUB_KEY_FILE", "DONGSHAN_URL", "XIHU_URL", "XIHU_USER", "XIHU_PASSWORD", "XIHU_NOTICE_KEY", "NANYUAN_DRIVER", "NANYUAN_DSN"}

// TestScripts runs the program as people do. hospitals/ are the shipped folders.
func TestScripts(t *testing.T) {
	root := repository(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"dongshan", "xihu", "nanyuan"} {
				if err := os.CopyFS(filepath.Join(e.WorkDir, "hospitals", name), os.DirFS(filepath.Join(root, "mapping", "hospitals", name))); err != nil {
					return err
				}
			}
			for _, name := range outside {
				unset(e, name)
			}
			e.Setenv("HISHUB_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("USER", "tester")
			e.Setenv("GOOD", filepath.Join(root, "mapping", "testdata", "good"))
			e.Setenv("SUDO_USER", "")
			e.Setenv("DAY", time.Now().In(time.FixedZone("", 8*3600)).AddDate(0, 0, -1).Format(time.DateOnly)) // no day may be too old to be compared
			later := time.Now().In(time.FixedZone("", 8*3600)).Add(2 * time.Hour)
			e.Setenv("SHUT", later.Format("15:04")+"-"+later.Add(time.Hour).Format("15:04")) // working hours that are not now
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "edit": edit, "seed": seed, "mistakes": mistakes, "database": database, "his": openHIS, "fault": setFault, "books": editBooks, "until": until,
			"serve": startServe, "submit": submit, "stop": stopServe, "nobody": nobody, "gb18030": gb18030, "robots": openRobots, "shown": shownByRobots,
		},
	})
}

func unset(e *testscript.Env, name string) {
	kept := e.Vars[:0]
	for _, v := range e.Vars {
		if !strings.HasPrefix(v, name+"=") {
			kept = append(kept, v)
		}
	}
	e.Vars = kept
}

// status N COMMAND... runs a command that must end with that exit status.
func status(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit status %d, want %s", code, args[0])
	}
	if strings.Contains(ts.ReadFile("stderr"), "goroutine ") {
		ts.Fatalf("it panicked")
	}
}

// edit FILE OLD NEW replaces text that must be there; \n is a line's end.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	lines := strings.NewReplacer(`\n`, "\n")
	text, old, new := ts.ReadFile(args[0]), lines.Replace(args[1]), lines.Replace(args[2])
	if !strings.Contains(text, old) {
		ts.Fatalf("%s does not hold %q", args[0], old)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, old, new, 1)), 0o644))
}

// seed HOSPITAL FILE OLD NEW makes the folder h, a shipped one with one mistake,
// and sets LINE to where in the file it is.
func seed(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.RemoveAll(ts.MkAbs("h")))
	ts.Check(os.CopyFS(ts.MkAbs("h"), os.DirFS(ts.MkAbs("hospitals/"+args[0]))))
	file, before := "h/"+args[1], ""
	if _, err := os.Stat(ts.MkAbs(file)); err == nil {
		before = ts.ReadFile(file)
	} else {
		ts.Check(os.WriteFile(ts.MkAbs(file), nil, 0o644))
	}
	edit(ts, false, []string{file, args[2], args[3]})
	after := ts.ReadFile(file)
	same := 0
	for same < min(len(before), len(after)) && before[same] == after[same] {
		same++
	}
	ts.Setenv("LINE", fmt.Sprint(1+strings.Count(after[:same], "\n")))
}

// mistakes LINE... are all that the check of h must have said.
func mistakes(ts *testscript.TestScript, _ bool, args []string) {
	want := strings.Join(args, "\n") + "\nh: not usable, so its cases did not run\n"
	if got := ts.ReadFile("stdout"); got != want {
		ts.Fatalf("got\n%swant\n%s", got, want)
	}
}

// database makes an empty one and sets DATABASE_URL.
func database(ts *testscript.TestScript, _ bool, _ []string) {
	// Scripts run as subtests of their own; the database goes with the script.
	tb := &scriptTB{ts: ts}
	ts.Setenv("DATABASE_URL", servers.Postgres(tb))
}

// scriptTB lets helpers of tests work for a script.
type scriptTB struct {
	testing.TB
	ts *testscript.TestScript
}

func (s *scriptTB) Helper()                        {}
func (s *scriptTB) Cleanup(f func())               { s.ts.Defer(f) }
func (s *scriptTB) Fatalf(format string, a ...any) { s.ts.Fatalf(format, a...) }
func (s *scriptTB) Failed() bool                   { return false }
func (s *scriptTB) Fatal(a ...any)                 { s.ts.Fatalf("%s", fmt.Sprint(a...)) }

// his opens the fake 东山 and sets DONGSHAN_URL and CONTROL.
func openHIS(ts *testscript.TestScript, _ bool, _ []string) {
	h, err := soaphis.Start(context.Background(), soaphis.Options{})
	ts.Check(err)
	ts.Defer(func() { h.Close() })
	ts.Setenv("DONGSHAN_URL", h.URL())
	ts.Setenv("CONTROL", h.ControlURL())
}

// robots opens those of WeCom and DingTalk and sets ROBOTS.
func openRobots(ts *testscript.TestScript, _ bool, _ []string) {
	r, err := robots.Start(context.Background(), robots.Options{})
	ts.Check(err)
	ts.Defer(func() { r.Close() })
	ts.Setenv("ROBOTS", r.URL())
	ts.Setenv("ROBOTSCONTROL", r.ControlURL())
}

// shown N TEXT: the robots have shown so many messages, and each holds the text.
func shownByRobots(ts *testscript.TestScript, _ bool, args []string) {
	var all []robots.Message
	ts.Check(json.Unmarshal(call(ts, http.MethodGet, ts.Getenv("ROBOTSCONTROL")+"/messages", nil), &all))
	if fmt.Sprint(len(all)) != args[0] {
		ts.Fatalf("%d messages, want %s", len(all), args[0])
	}
	for _, m := range all {
		if !strings.Contains(m.Text, args[1]) {
			ts.Fatalf("no %s in %s", args[1], m.Text)
		}
	}
}

// fault KIND makes 东山 fail so; "fault none" mends it.
func setFault(ts *testscript.TestScript, _ bool, args []string) {
	base := ts.Getenv("CONTROL")
	if args[0] == "none" {
		call(ts, http.MethodDelete, base+"/faults", nil)
		return
	}
	rule, err := json.Marshal(fault.Rule{Fault: fault.Kind(args[0])})
	ts.Check(err)
	call(ts, http.MethodPost, base+"/faults", rule)
}

// books EDIT changes what 东山 has booked, behind everybody's back.
func editBooks(ts *testscript.TestScript, _ bool, args []string) {
	call(ts, http.MethodPost, ts.Getenv("CONTROL")+"/books/edit", []byte(args[0]))
}

// until PATTERN COMMAND... runs a command until its output matches.
func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if err := ts.Exec(args[1], args[2:]...); err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no %s within a minute", args[0])
		}
	}
}

// call sends JSON with the key in KEY.
func call(ts *testscript.TestScript, method, url string, body []byte) []byte {
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+ts.Getenv("KEY"))
	a, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	ts.Check(err)
	if a.StatusCode > 299 {
		ts.Fatalf("%s %s: %s: %s", method, url, a.Status, text)
	}
	return text
}

// submit HOSPITAL KIND FILE hands a message to the serving hub, with the key
// that "hishub key new" printed last time into the file key, and sets MESSAGE.
func submit(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("KEY", strings.TrimSpace(ts.ReadFile("key")))
	var out struct{ ID int64 }
	ts.Check(json.Unmarshal(call(ts, http.MethodPost, ts.Getenv("HUB")+"/v1/hospitals/"+args[0]+"/messages/"+args[1], []byte(ts.ReadFile(args[2]))), &out))
	ts.Setenv("MESSAGE", fmt.Sprint(out.ID))
}

// serve runs the hub in the script's environment and sets HUB.
func startServe(ts *testscript.TestScript, _ bool, args []string) {
	env := environment()
	for _, name := range append(outside, "HISHUB_DATA") {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	hub := startHub(&scriptTB{ts: ts}, env, args...)
	hubs.Store(ts, hub)
	ts.Setenv("HUB", hub.address)
}

// hubs are the scripts' hubs: *testscript.TestScript to *process.
var hubs sync.Map

// stop ends it by SIGTERM.
func stopServe(ts *testscript.TestScript, _ bool, _ []string) {
	hub, _ := hubs.Load(ts)
	if code := hub.(*process).stop(); code != 0 {
		ts.Fatalf("the hub ended with exit status %d", code)
	}
}

// aliases of a command, in its path.
var aliases = regexp.MustCompile(` \([^)]*\)`)

// Every command explains itself with an example.
func TestHelp(t *testing.T) {
	leaves := newParser(context.Background()).Model.Leaves(false)
	if len(leaves) < 20 {
		t.Fatalf("%d commands", len(leaves))
	}
	for _, leaf := range leaves {
		path := strings.Fields(aliases.ReplaceAllString(strings.TrimPrefix(leaf.FullPath(), "hishub"), ""))
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			var errs bytes.Buffer
			c := exec.Command("hishub", append(path, "--help")...)
			c.Stderr = &errs
			out, err := c.Output()
			if err != nil || errs.Len() > 0 || !strings.Contains(string(out), "Example") || !strings.Contains(string(out), "hishub "+strings.Join(path, " ")) {
				t.Errorf("%v\n%s%s", err, out, errs.String())
			}
		})
	}
}
