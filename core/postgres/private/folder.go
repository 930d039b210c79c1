package private

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// folder is where a cluster lives: data (PostgreSQL's own), password, log, and a
// lock held by the process that uses the cluster.
type folder struct {
	path string
	lock *os.File
	as   *syscall.Credential // the server's user when we are root, else nil
}

func (f folder) data() string         { return filepath.Join(f.path, "data") }
func (f folder) passwordFile() string { return filepath.Join(f.path, "password") }
func (f folder) startLog() string     { return filepath.Join(f.path, "start.log") }
func (f folder) settingsFile() string { return filepath.Join(f.data(), "hishub.conf") }

// openFolder makes the folder if needed, sees that the server's user can reach
// it, and locks it.
func openFolder(path string) (folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return folder{}, err
	}
	f := folder{path: path}
	if os.Geteuid() == 0 {
		if f.as, err = serverUser(f.data()); err != nil {
			return folder{}, err
		}
	}
	if err := f.makeFolders(); err != nil {
		return folder{}, err
	}
	if err := f.reachable(); err != nil {
		return folder{}, err
	}
	f.lock, err = os.OpenFile(filepath.Join(f.path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return folder{}, err
	}
	if err := f.own(f.lock.Name()); err != nil {
		f.lock.Close()
		return folder{}, err
	}
	// The lock falls with our process, however it ends: a free lock beside a
	// running server says that the server is an orphan.
	if err := syscall.Flock(int(f.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(f.lock.Name())
		f.lock.Close()
		server, _ := f.postmaster()
		return folder{}, fmt.Errorf("it is in use by process %s (PostgreSQL's PID is %d)", strings.TrimSpace(string(owner)), server.pid)
	}
	_ = f.lock.Truncate(0) // the PID is only for the words above
	fmt.Fprintln(f.lock, os.Getpid())
	return f, nil
}

func (f folder) unlock() { f.lock.Close() }

// serverUser is the unprivileged user that runs the server for root.
func serverUser(data string) (*syscall.Credential, error) {
	var u *user.User
	if info, err := os.Stat(data); err == nil {
		u, err = user.LookupId(strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid)))
		if err != nil {
			return nil, fmt.Errorf("find the owner of %s: %w", data, err)
		}
		if u.Uid == "0" {
			return nil, fmt.Errorf("%s belongs to root, as whom PostgreSQL refuses to run: chown -R postgres %s", data, filepath.Dir(data))
		}
	} else {
		for _, name := range []string{"postgres", "nobody"} {
			if u, err = user.Lookup(name); err == nil {
				break
			}
		}
		if u == nil {
			return nil, errors.New("PostgreSQL refuses to run as root and there is neither a user postgres nor nobody: add one of them, or run hishub as an ordinary user")
		}
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	as := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	groups, _ := u.GroupIds()
	for _, g := range groups {
		if id, err := strconv.ParseUint(g, 10, 32); err == nil {
			as.Groups = append(as.Groups, uint32(id))
		}
	}
	return as, nil
}

// makeFolders makes the folder and its missing parents. A strict umask must not
// make the parents unreachable for the server's user.
func (f folder) makeFolders() error {
	if info, err := os.Stat(f.path); err == nil && info.IsDir() {
		entries, err := os.ReadDir(f.path)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			return nil // whose it is shows when it is used
		}
	}
	var missing []string
	for p := filepath.Dir(f.path); ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil || p == "/" {
			break
		}
		missing = append(missing, p)
	}
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return err
	}
	if f.as != nil {
		for _, p := range missing {
			if err := os.Chmod(p, 0o755); err != nil {
				return err
			}
		}
	}
	if err := os.Chmod(f.path, 0o700); err != nil {
		return err
	}
	return f.own(f.path)
}

// own gives a path to the server's user.
func (f folder) own(path string) error {
	if f.as == nil {
		return nil
	}
	return os.Chown(path, int(f.as.Uid), int(f.as.Gid))
}

// reachable tries the path folder by folder as the server's user, so that the
// error can name the one that is closed.
func (f folder) reachable() error {
	if f.as == nil || f.enter(f.path) == nil {
		return nil
	}
	path, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return err
	}
	parts := strings.Split(path, "/")
	for i := range parts {
		p := "/" + filepath.Join(parts[:i+1]...)
		if err := f.enter(p); err != nil {
			name := strconv.Itoa(int(f.as.Uid))
			if u, err := user.LookupId(name); err == nil {
				name = u.Username
			}
			return fmt.Errorf("user %s, who runs the server for root, may not enter %s: choose a folder outside it (/var/lib/hishub), or chmod o+x %s", name, p, p)
		}
	}
	return nil
}

// enter tries to enter a folder as the server's user.
func (f folder) enter(path string) error {
	cmd := f.command("/bin/true")
	cmd.Dir = path
	return cmd.Run()
}

// command runs a program as the server's user, in the folder (our own working
// folder may be closed to that user), in a process group of its own: Ctrl-C on
// the terminal is for us; we then stop the server in order.
func (f folder) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = f.path
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: f.as}
	// Foreign settings (PGDATA, PGPORT, PGOPTIONS ...) are not for this cluster.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "LC_") && !strings.HasPrefix(v, "LANG") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	return cmd
}

// major is the version that made the cluster, 0 if there is none yet.
func (f folder) major() int {
	text, err := os.ReadFile(filepath.Join(f.data(), "PG_VERSION"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// initialise makes the cluster beside its place and moves it there when it is
// complete: a killed initialisation leaves nothing that looks like a cluster.
func (f folder) initialise(ctx context.Context, bin binaries) error {
	if _, err := os.Stat(f.data()); err == nil {
		return fmt.Errorf("%s exists but is no PostgreSQL cluster: move it away", f.data())
	}
	if _, err := os.Stat(f.passwordFile()); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(f.passwordFile(), []byte(rand.Text()+"\n"), 0o600); err != nil {
			return err
		}
		if err := f.own(f.passwordFile()); err != nil {
			return err
		}
	}
	fresh := f.data() + ".new"
	var said []byte
	var err error
	for _, locale := range []string{"C.UTF-8", "C"} { // not every machine has C.UTF-8
		if err := os.RemoveAll(fresh); err != nil {
			return err
		}
		cmd := f.command(filepath.Join(bin.dir, "initdb"), "--pgdata", fresh, "--username", User,
			"--pwfile", f.passwordFile(), "--auth=scram-sha-256", "--encoding=UTF8", "--locale="+locale, "--data-checksums")
		said, err = output(ctx, cmd)
		if err == nil || !strings.Contains(string(said), "locale") {
			break
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return f.complete(fresh)
}

// output runs a program to its end, or until ctx ends.
func output(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() {
		if cmd.Process != nil {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	defer stop()
	return cmd.CombinedOutput()
}

// complete gives a finished cluster its place.
func (f folder) complete(fresh string) error {
	conf, err := os.OpenFile(filepath.Join(fresh, "postgresql.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = conf.WriteString("\ninclude_if_exists = 'hishub.conf'\n")
	if err := errors.Join(err, conf.Sync(), conf.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh, f.data()); err != nil {
		return err
	}
	return syncFolder(f.path)
}

func (f folder) password() (string, error) {
	text, err := os.ReadFile(f.passwordFile())
	if err != nil {
		return "", fmt.Errorf("read the cluster's password: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (f folder) hasSettings(text string) bool {
	present, err := os.ReadFile(f.settingsFile())
	return err == nil && string(present) == text
}

func (f folder) writeSettings(text string) error {
	if err := os.WriteFile(f.settingsFile(), []byte(text), 0o600); err != nil {
		return err
	}
	return f.own(f.settingsFile())
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
