package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postmaster is what data/postmaster.pid says of a server.
type postmaster struct {
	pid, port int
	ready     bool // it accepts connections, a standby's for reading
}

func (f folder) pidFile() string { return filepath.Join(f.data(), "postmaster.pid") }

// postmaster reads the PID file; live says whether that process is really this
// cluster's server and not one that was given its number later.
func (f folder) postmaster() (p postmaster, live bool) {
	text, err := os.ReadFile(f.pidFile())
	if err != nil {
		return p, false
	}
	lines := strings.Split(string(text), "\n")
	p.pid, _ = strconv.Atoi(strings.TrimSpace(lines[0]))
	if len(lines) > 3 {
		p.port, _ = strconv.Atoi(strings.TrimSpace(lines[3]))
	}
	if len(lines) > 7 {
		status := strings.TrimSpace(lines[7])
		p.ready = status == "ready" || status == "standby"
	}
	if p.pid <= 0 || !alive(p.pid) {
		return p, false
	}
	if runtime.GOOS != "linux" {
		return p, true
	}
	// A postmaster's working folder is its data folder.
	cwd, err := os.Stat("/proc/" + strconv.Itoa(p.pid) + "/cwd")
	data, err2 := os.Stat(f.data())
	return p, err == nil && err2 == nil && os.SameFile(cwd, data)
}

// disownStalePID makes a PID file that names a foreign process acceptable to
// PostgreSQL, which by itself only sees that the number is taken. The file is
// not removed: its shared memory line keeps PostgreSQL from starting beside
// surviving processes of the old server. Our own number says "stale", for a
// postmaster takes its parent for no other postmaster.
func (f folder) disownStalePID() error {
	text, err := os.ReadFile(f.pidFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	return os.WriteFile(f.pidFile(), []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o600)
}

// run starts the postmaster; gone is closed when it has ended.
func (f folder) run(bin binaries, dieWithParent bool) (pid int, gone <-chan struct{}, err error) {
	log, err := os.OpenFile(f.startLog(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, nil, err
	}
	defer log.Close()
	if err := f.own(f.startLog()); err != nil {
		return 0, nil, err
	}
	cmd := f.command(filepath.Join(bin.dir, "postgres"), "-D", f.data())
	cmd.Stdout, cmd.Stderr = log, log
	if dieWithParent {
		dieWith(cmd.SysProcAttr)
	}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// "Parent" is the thread that started the server: it has to live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		return 0, nil, err
	}
	return cmd.Process.Pid, ended, nil
}

// watch closes its channel when a process that is not our child has ended.
func watch(pid int) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		for alive(pid) {
			time.Sleep(50 * time.Millisecond)
		}
		close(gone)
	}()
	return gone
}

// kill ends a postmaster and its children, which are in sessions of their own.
// It is held while they are listed, so that it can start no more.
func kill(pid int) {
	syscall.Kill(pid, syscall.SIGSTOP)
	all := append(children(pid), pid)
	for _, p := range all {
		syscall.Kill(p, syscall.SIGKILL)
	}
	for _, p := range all[:len(all)-1] {
		for alive(p) {
			time.Sleep(time.Millisecond)
		}
	}
}

// children lists a process's direct children (Linux; elsewhere none, and a
// killed postmaster's children end by themselves a little later).
func children(pid int) []int {
	var found []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		child, state, parent := readStat(stat)
		if parent == pid && state != "Z" {
			found = append(found, child)
		}
	}
	return found
}

// alive says whether a process runs; a zombie does not.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && err != syscall.EPERM {
		return false
	}
	_, state, _ := readStat("/proc/" + strconv.Itoa(pid) + "/stat")
	return state != "Z"
}

// readStat reads the first fields of /proc/PID/stat: "PID (name) state parent".
func readStat(path string) (pid int, state string, parent int) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, "", 0
	}
	before, _, _ := strings.Cut(string(text), " ")
	pid, _ = strconv.Atoi(before)
	// A name may hold spaces and brackets; the fields follow the last one.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return pid, "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return pid, fields[0], parent
}
