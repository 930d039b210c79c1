package month

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"hishub/core"
)

// hub is one `hishub serve`.
type hub struct {
	*world
	log string
	key string // of the API
	url string
	pid int
	// gone is its exit.
	gone chan error
}

// farOff is once a year, and in two months: the hub's own schedule runs no night here.
var farOff = func() string {
	d := time.Now().AddDate(0, 0, 60)
	return fmt.Sprintf("0 0 %d %d *", min(d.Day(), 28), d.Month())
}()

// start returns once the API listens.
func (h *hub) start() {
	h.Helper()
	log, err := os.OpenFile(h.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(h.T, "open the hub's log", err)
	defer log.Close()
	cmd := exec.Command(h.binary, "serve", "--listen", "127.0.0.1:0", "--no-clinic", "--nights", farOff)
	cmd.Env, cmd.Stderr, cmd.SysProcAttr = h.env, log, &syscall.SysProcAttr{}
	dieWithParent(cmd.SysProcAttr)
	out, err := cmd.StdoutPipe()
	must(h.T, "start a hub", err)
	started, gone, address := make(chan error), make(chan error, 1), make(chan string, 1)
	go func() {
		// "Parent" is the thread that started it, so the thread must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, at, ok := strings.Cut(lines.Text(), " serves at "); ok {
				address <- at
			}
		}
		gone <- cmd.Wait()
	}()
	must(h.T, "start a hub", <-started)
	h.Cleanup(func() { _ = cmd.Process.Kill() })
	select {
	case h.url = <-address:
		h.pid, h.gone = cmd.Process.Pid, gone
	case err := <-gone:
		h.Fatalf("the hub ended while starting: %v\n%s", err, h.lastWords())
	case <-time.After(time.Minute):
		h.Fatalf("the hub did not start within a minute\n%s", h.lastWords())
	}
}

// kill ends it with SIGKILL.
func (h *hub) kill() {
	_ = syscall.Kill(h.pid, syscall.SIGKILL)
	<-h.gone
}

// command is another command of the program.
func (h *hub) command(args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	cmd := exec.CommandContext(h.ctx, h.binary, args...)
	var out, problem bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = h.env, &out, &problem
	return cmd, &out, &problem
}

// tool runs a command of the program to its end.
func (h *hub) tool(args ...string) string {
	h.Helper()
	cmd, out, problem := h.command(args...)
	if err := cmd.Run(); err != nil {
		h.Fatalf("hishub %s: %v\n%s", strings.Join(args, " "), err, problem)
	}
	return out.String()
}

// lastWords are the end of the hub's log.
func (h *hub) lastWords() string {
	text, _ := os.ReadFile(h.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "level=INFO msg=request") })
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

var client = &http.Client{Timeout: 20 * time.Second}

// submit hands a message in over the API.
func (h *hub) submit(hospital string, kind core.Kind, body core.Body) {
	h.Helper()
	content, err := json.Marshal(body)
	must(h.T, "write a message", err)
	status, answer := request(h.ctx, http.MethodPost, fmt.Sprintf("%s/v1/hospitals/%s/messages/%s", h.url, hospital, kind), "Bearer "+h.key, content)
	if status != http.StatusAccepted {
		h.Errorf("%s %s of %s was not accepted: %d %s", kind, body.Key(), hospital, status, answer)
	}
}

func request(ctx context.Context, method, address, authorization string, content []byte) (int, []byte) {
	rq, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return 0, []byte(err.Error())
	}
	rq.Header.Set("Authorization", authorization)
	rq.Header.Set("Content-Type", "application/json")
	a, err := client.Do(rq)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return a.StatusCode, body
}

// ask talks to the control port of a fake hospital, which no fault touches.
func (h *hospital) ask(w *world, method, path string, in, out any) error {
	content, err := json.Marshal(in)
	if err != nil {
		return err
	}
	status, answer := request(w.ctx, method, h.control+path, "", content)
	if status != http.StatusOK {
		return fmt.Errorf("%s: %s %s: %d %s", h.id, method, path, status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
