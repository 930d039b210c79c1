package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var errEnded = errors.New("the server ended while starting")

// process is a server that is one program (and the programs it starts).
type process struct {
	pid  int
	log  string
	gone chan struct{} // closed when it has ended
}

// startProcess starts a program in a process group of its own, writing to log.
func startProcess(cmd *exec.Cmd, log string) (*process, error) {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr)

	p := &process{log: log, gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		// "Parent" is the thread that started the program, so it has to live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(p.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// waitReady returns when ready succeeds; the process is killed if it never does.
func (p *process) waitReady(ctx context.Context, ready func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		last := ready(try)
		cancel()
		if last == nil {
			return nil
		}
		select {
		case <-p.gone:
			return fmt.Errorf("%w: %s", errEnded, p.lastWords())
		case <-ctx.Done():
			p.kill()
			return fmt.Errorf("wait for its answer: %w (last: %w)", ctx.Err(), last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) lastWords() string {
	text, _ := os.ReadFile(p.log)
	return strings.TrimSpace(string(text[max(0, len(text)-1500):]))
}

func (p *process) ended() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

func (p *process) pids() []int {
	if p.ended() {
		return nil
	}
	return family(p.pid)
}

func (p *process) stop(ctx context.Context) error {
	if p.ended() {
		return nil
	}
	syscall.Kill(p.pid, syscall.SIGTERM)
	select {
	case <-p.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for PID %d to end: %w", p.pid, ctx.Err())
	}
}

func (p *process) kill() {
	if p.ended() {
		return
	}
	syscall.Kill(p.pid, syscall.SIGSTOP) // so that it starts no more programs
	all := family(p.pid)
	syscall.Kill(-p.pid, syscall.SIGKILL)
	signalAll(all, syscall.SIGKILL)
	<-p.gone
	for _, pid := range all {
		for alive(pid) {
			time.Sleep(time.Millisecond)
		}
	}
}

func signalAll(pids []int, sig syscall.Signal) {
	for _, pid := range pids {
		syscall.Kill(pid, sig)
	}
}

// family is a process and all its descendants, parents first.
func family(root int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		if pid, _, parent := readStat(stat); pid != 0 {
			children[parent] = append(children[parent], pid)
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return slices.Clip(all)
}

// alive says whether a process runs; a zombie does not.
func alive(pid int) bool {
	_, state, _ := readStat("/proc/" + strconv.Itoa(pid) + "/stat")
	return state != "" && state != "Z"
}

// readStat reads the first fields of /proc/PID/stat: "PID (name) state parent".
func readStat(path string) (pid int, state string, parent int) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, "", 0
	}
	before, _, _ := strings.Cut(string(text), " ")
	// A name may hold spaces and brackets; the fields follow the last one.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return 0, "", 0
	}
	pid, _ = strconv.Atoi(before)
	parent, _ = strconv.Atoi(fields[1])
	return pid, fields[0], parent
}

// unprivileged is the first of the users that exists, for servers that refuse
// to run as root; nil when we are not root.
func unprivileged(names ...string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range append(names, "nobody") {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("it refuses to run as root and none of the users %v, nobody exists", names)
}

// program finds a program in PATH or where Debian keeps daemons.
func program(name string) (string, error) {
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/bin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}
