package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a running "hishub serve".
type process struct {
	tb      testing.TB
	cmd     *exec.Cmd
	address string
	gone    chan struct{}
	words   *words
}

// startHub runs "hishub serve" with this environment and waits until it serves.
func startHub(tb testing.TB, env []string, args ...string) *process {
	tb.Helper()
	return startProgram(tb, env, append([]string{"serve", "--listen", "127.0.0.1:0", "--nights", "off"}, args...)...)
}

func startProgram(tb testing.TB, env []string, args ...string) *process {
	tb.Helper()
	p := &process{tb: tb, gone: make(chan struct{}), words: &words{}}
	p.cmd = exec.Command("hishub", args...)
	p.cmd.Env, p.cmd.Stderr = env, p.words
	out, err := p.cmd.StdoutPipe()
	ok(tb, err)
	ok(tb, p.cmd.Start())
	tb.Cleanup(func() {
		p.kill()
		if tb.Failed() {
			tb.Logf("the hub %d said:\n%s", p.cmd.Process.Pid, p.words.last())
		}
	})
	up := make(chan string, 1)
	go func() {
		defer close(p.gone)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, address, ok := strings.Cut(lines.Text(), " serves at "); ok {
				up <- address
			}
		}
		_ = p.cmd.Wait()
	}()
	select {
	case p.address = <-up:
	case <-p.gone:
		tb.Fatalf("the hub ended before it served:\n%s", p.words.last())
	case <-time.After(time.Minute):
		tb.Fatalf("the hub does not serve after a minute:\n%s", p.words.last())
	}
	return p
}

// stop sends SIGTERM and returns the exit status.
func (p *process) stop() int {
	p.tb.Helper()
	ok(p.tb, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.gone:
	case <-time.After(time.Minute):
		p.tb.Fatalf("the hub did not end within a minute of SIGTERM:\n%s", p.words.last())
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill is kill -9, and nothing when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.gone
}

// words are what a process says.
type words struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *words) last() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.text.String()
	return text[max(0, len(text)-4000):]
}

// within waits for something, looking ten times a second.
func within(tb testing.TB, limit time.Duration, what string, done func() bool) {
	tb.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// environment is this process's without what names services.
func environment(more ...string) (env []string) {
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		named := false
		for _, o := range outside {
			named = named || name == o
		}
		if !named {
			env = append(env, v)
		}
	}
	// Nobody shares out requests here, so a stop need not wait until he sees it.
	return append(append(env, "HISHUB_LINGER=0s"), more...)
}
