package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Machine is what everything was measured on.
type Machine struct {
	Cores      int     `json:"cores"`
	CPU        string  `json:"cpu"`
	MemoryMB   int     `json:"memory_mb"`
	Load       string  `json:"load"` // 1, 5 and 15 minutes, before the run
	Go         string  `json:"go"`
	PostgreSQL string  `json:"postgresql"`
	CommitMs   float64 `json:"commit_ms"` // of one row by one client, durable
	CommitsPS  float64 `json:"commits_per_second"`
}

func (s *stage) machine(ctx context.Context) (m Machine, err error) {
	m.Cores, m.Go = runtime.GOMAXPROCS(0), runtime.Version()
	m.CPU = field("/proc/cpuinfo", "model name")
	kb, _ := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"))
	m.MemoryMB = kb / 1024
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(b))[:3], " ")
	}
	c, err := pgx.Connect(ctx, s.cluster.URL("own"))
	if err != nil {
		return m, err
	}
	defer c.Close(context.Background())
	var fsync, synchronous string
	if err := c.QueryRow(ctx, `select current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')`).
		Scan(&m.PostgreSQL, &fsync, &synchronous); err != nil {
		return m, err
	}
	if fsync != "on" || synchronous != "on" {
		return m, fmt.Errorf("the database is not durable: fsync %s, synchronous_commit %s", fsync, synchronous)
	}
	if _, err := c.Exec(ctx, `create table one (n bigint)`); err != nil {
		return m, err
	}
	began, n := time.Now(), 0
	for ; time.Since(began) < s.second(); n++ {
		if _, err := c.Exec(ctx, `insert into one values ($1)`, n); err != nil {
			return m, err
		}
	}
	took := time.Since(began)
	m.CommitMs, m.CommitsPS = ms(took)/float64(n), float64(n)/took.Seconds()
	return m, nil
}

// field of a file of lines "name : value".
func field(file, name string) string {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// used is processor time since the start, by whose it is.
type used struct{ Hub, PostgreSQL, Mock, Generator, Machine, Stolen time.Duration }

func (s *stage) used() (u used) {
	u.Hub, u.Mock = process1(s.hub.pid).own, process1(s.mock.pid).own
	var self syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &self) == nil {
		u.Generator = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	}
	// Backends that ended are in their parent's count of children.
	parent := process1(s.cluster.PID)
	u.PostgreSQL = parent.own + parent.children
	for _, p := range processes() {
		if p.parent == s.cluster.PID {
			u.PostgreSQL += p.own
		}
	}
	u.Machine, u.Stolen = busy()
	return u
}

func (u used) since(v used) used {
	return used{u.Hub - v.Hub, u.PostgreSQL - v.PostgreSQL, u.Mock - v.Mock, u.Generator - v.Generator, u.Machine - v.Machine, u.Stolen - v.Stolen}
}

// others is what neither of ours used.
func (u used) others() time.Duration {
	return max(0, u.Machine-u.Hub-u.PostgreSQL-u.Mock-u.Generator)
}

type processTime struct {
	parent        int
	own, children time.Duration
}

const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on

func process1(pid int) (p processTime) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The second field is a name in parentheses that may hold anything.
	at := bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[at+1:]))
	if len(f) < 15 {
		return p
	}
	n := func(i int) time.Duration { v, _ := strconv.ParseInt(f[i], 10, 64); return time.Duration(v) * tick }
	p.parent, _ = strconv.Atoi(f[1])
	p.own, p.children = n(11)+n(12), n(13)+n(14)
	return p
}

func processes() (all []processTime) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		all = append(all, process1(pid))
	}
	return all
}

// busy is the processor time that the whole machine used, and what its host took.
func busy() (used, stolen time.Duration) {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 9 {
		return 0, 0
	}
	for _, i := range []int{1, 2, 3, 6, 7} { // user nice system irq softirq
		v, _ := strconv.ParseInt(f[i], 10, 64)
		used += time.Duration(v) * tick
	}
	v, _ := strconv.ParseInt(f[8], 10, 64)
	return used, time.Duration(v) * tick
}

// memory of a process in MB: now, and the most it ever had.
func memory(pid int) (now, most int) {
	read := func(name string) int {
		kb, _ := strconv.Atoi(strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", pid), name), " kB"))
		return kb / 1024
	}
	return read("VmRSS"), read("VmHWM")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Quantiles of a latency in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

func quantiles(all []time.Duration) Quantiles {
	if len(all) == 0 {
		return Quantiles{}
	}
	slices.Sort(all)
	at := func(q float64) float64 { return ms(all[min(len(all)-1, int(q*float64(len(all))))]) }
	return Quantiles{at(.5), at(.99), ms(all[len(all)-1])}
}
