package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a part of the program in a process of its own.
type process struct {
	pid   int
	log   string
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended
}

// start runs "hishub args..." and returns when lines that begin with each of the
// words were printed, with what follows them.
func (s *stage) start(ctx context.Context, words []string, args ...string) (*process, []string, error) {
	s.starts++
	log, err := os.Create(filepath.Join(s.dir, fmt.Sprintf("%s-%d.log", args[0], s.starts)))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	p := &process{log: log.Name(), cmd: exec.Command(s.Binary, args...), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr = s.env, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours to hand on
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, nil, err
	}
	p.pid = p.cmd.Process.Pid
	s.later(func() { _ = p.stop() })
	said := make(chan []string, 1)
	go func() {
		found := make([]string, len(words))
		for lines, missing := bufio.NewScanner(out), len(words); lines.Scan(); {
			for i, word := range words {
				if _, after, ok := strings.Cut(lines.Text(), word); ok && found[i] == "" {
					found[i] = strings.TrimSpace(after)
					missing--
				}
			}
			if missing == 0 {
				missing = -1
				said <- found
			}
		}
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	select {
	case found := <-said:
		return p, found, nil
	case <-p.ended:
		return nil, nil, fmt.Errorf("hishub %s ended before it was up: %s", args[0], p.lastWords())
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// stop ends it in order.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(45 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	return p.err
}

func (p *process) lastWords() string {
	b, _ := os.ReadFile(p.log)
	return string(b[max(0, len(b)-2000):])
}
