package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A newcomer follows docs/onboarding.md literally, and so does this test: it writes
// the files, says the commands line by line to one shell, and finds what the page says
// that they print. "# exit status 3" behind a command is what it ends with; "…" stands
// for anything. What a command only starts ("&"), or a hub does a moment later, may
// take a while to be printed.
func TestOnboardingGuideIsTrue(t *testing.T) {
	root := repository(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "onboarding.md"))
	ok(t, err)
	dir := folderForAll(t)
	ok(t, os.CopyFS(filepath.Join(dir, "docs", "onboarding"), os.DirFS(filepath.Join(root, "docs", "onboarding"))))
	self, err := os.Executable()
	ok(t, err)
	ok(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	ok(t, os.Symlink(self, filepath.Join(dir, "bin", "hishub")))
	blocks := blocksOf(freePorts(t, string(page)))
	if len(blocks) < 40 {
		t.Fatalf("the page has %d blocks", len(blocks))
	}
	reader := startShell(t, dir)
	for i, b := range blocks {
		switch {
		case b.kind == "yaml" || b.kind == "csv":
			writeBlock(t, dir, b)
		case b.kind == "sh":
			printed := ""
			for n, line := range b.lines {
				printed += reader.say(t, b.line+n, line)
			}
			if i+1 < len(blocks) && blocks[i+1].kind == "text" {
				reader.find(t, blocks[i+1], printed, b.lines[len(b.lines)-1])
			}
		case b.kind == "text":
			if i == 0 || blocks[i-1].kind != "sh" {
				t.Errorf("docs/onboarding.md:%d: shown is what no command printed", b.line)
			}
		default:
			t.Errorf("docs/onboarding.md:%d: a block of kind %q is not checked", b.line, b.kind)
		}
	}
}

// block is a fenced block of the page.
type block struct {
	kind  string
	line  int // of its first line
	lines []string
}

func blocksOf(page string) (blocks []block) {
	var open *block
	for i, line := range strings.Split(page, "\n") {
		switch {
		case strings.HasPrefix(line, "```") && open == nil:
			open = &block{kind: strings.TrimPrefix(line, "```"), line: i + 2}
		case line == "```":
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.lines = append(open.lines, line)
		}
	}
	return blocks
}

// folderForAll is a folder that also the user may enter who runs PostgreSQL for root.
func folderForAll(t *testing.T) string {
	dir, err := os.MkdirTemp("", "onboarding")
	ok(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ok(t, os.Chmod(dir, 0o755)) //nolint:gosec // it holds made-up people
	return dir
}

var address = regexp.MustCompile(`127\.0\.0\.1:(\d+)`)

// freePorts gives each address of the page a port of its own, from below those that
// systems give to connections: between now and its use nobody else is given it.
func freePorts(t *testing.T, page string) string {
	for _, m := range address.FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, m[0]) {
			continue
		}
		var l net.Listener
		err := errors.New("no try")
		for tries := 0; err != nil && tries < 100; tries++ {
			l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))) //nolint:gosec // any will do
		}
		ok(t, err)
		defer l.Close() // all at the end, so that no two are the same
		page = strings.ReplaceAll(page, m[0], strings.Replace(l.Addr().String(), "127.0.0.1", "127.000.0.1", 1))
	}
	return strings.ReplaceAll(page, "127.000.0.1", "127.0.0.1")
}

// writeBlock writes a file that the page shows: its first line is its name.
func writeBlock(t *testing.T, dir string, b block) {
	name, is := strings.CutPrefix(b.lines[0], "# ")
	if !is || !filepath.IsLocal(name) {
		t.Fatalf("docs/onboarding.md:%d: the block does not begin with the name of its file", b.line)
	}
	lines := b.lines
	if b.kind == "csv" {
		lines = lines[1:]
	}
	at := filepath.Join(dir, name)
	if _, err := os.Stat(filepath.Dir(at)); err != nil {
		t.Fatalf("docs/onboarding.md:%d: %s has no folder to be in: %v", b.line, name, err)
	}
	ok(t, os.WriteFile(at, []byte(strings.Join(lines, "\n")+"\n"), 0o644)) //nolint:gosec // as the reader does
}

// shell is the reader's terminal.
type shell struct {
	in      io.Writer
	mu      sync.Mutex
	printed strings.Builder
	more    chan struct{} // something was printed
}

func startShell(t *testing.T, dir string) *shell {
	c := exec.Command("bash")
	c.Dir = dir
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !slices.Contains(outside, name) && !strings.HasPrefix(name, "HISHUB_") {
			c.Env = append(c.Env, v)
		}
	}
	out, write, err := os.Pipe()
	ok(t, err)
	c.Stdout, c.Stderr = write, write
	in, err := c.StdinPipe()
	ok(t, err)
	ok(t, c.Start())
	write.Close()
	s := &shell{in: in, more: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			s.mu.Lock()
			s.printed.WriteString(line)
			s.mu.Unlock()
			select {
			case s.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		// As Ctrl-C in each terminal; the hub stops its database then.
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGINT)
		in.Close()
		_ = c.Wait()
		select {
		case <-done: // the last one has closed its output
		case <-time.After(30 * time.Second):
			t.Error("something that the guide started does not stop")
			_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		}
	})
	return s
}

var exitStatus = regexp.MustCompile(`# exit status (\d+)$`)

const patience = time.Minute

// say says a line and gives what was printed until it ended.
func (s *shell) say(t *testing.T, number int, line string) string {
	want := "0"
	if m := exitStatus.FindStringSubmatch(line); m != nil {
		want = m[1]
	}
	from := s.length()
	_, err := fmt.Fprintf(s.in, "%s\necho \"<ended $?>\"\n", line)
	ok(t, err)
	ended := regexp.MustCompile(`<ended (\d+)>\n`)
	var status []string
	printed := s.until(from, func(p string) bool { status = ended.FindStringSubmatch(p); return status != nil })
	if status == nil {
		t.Fatalf("docs/onboarding.md:%d: %s\ndoes not end; it printed\n%s", number, line, printed)
	}
	if status[1] != want {
		t.Fatalf("docs/onboarding.md:%d: %s\nexit status %s, not %s; it printed\n%s", number, line, status[1], want, printed)
	}
	if m := listens.FindStringSubmatch(line); m != nil && strings.HasSuffix(line, "&") {
		s.reach(t, number, m[1])
		s.mu.Lock()
		printed = s.printed.String()[from:]
		s.mu.Unlock()
	}
	return ended.ReplaceAllString(printed, "\n")
}

var listens = regexp.MustCompile(`--listen (\S+)`)

// reach waits until what was started listens: a person takes longer to type the next line.
func (s *shell) reach(t *testing.T, number int, address string) {
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return
		}
		if time.Since(start) > patience {
			t.Fatalf("docs/onboarding.md:%d: nobody listens: %v", number, err)
		}
	}
}

func (s *shell) length() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.printed.Len()
}

// until waits for what was printed from a place on to be enough.
func (s *shell) until(from int, enough func(string) bool) string {
	timeout := time.After(patience)
	for {
		s.mu.Lock()
		printed := s.printed.String()[from:]
		s.mu.Unlock()
		if enough(printed) {
			return printed
		}
		select {
		case <-s.more:
		case <-timeout:
			return printed
		}
	}
}

// find looks for the lines that the page shows, in their order. What was started goes
// on printing; what only shows what a hub does meanwhile is said again.
func (s *shell) find(t *testing.T, shown block, printed, last string) {
	lost := missing(shown, printed)
	switch {
	case strings.HasSuffix(last, "&"):
		from := s.length() - len(printed)
		printed = s.until(max(0, from-len("<ended 0>")), func(p string) bool { lost = missing(shown, p); return lost < 0 })
	case strings.HasPrefix(last, "bin/hishub message "):
		for start := time.Now(); lost >= 0 && time.Since(start) < patience; {
			again := s.say(t, shown.line, last)
			lost = missing(shown, printed+again)
		}
	}
	if lost >= 0 {
		t.Fatalf("docs/onboarding.md:%d: %s\nis not in what was printed\n%s", shown.line+lost, shown.lines[lost], printed)
	}
}

// missing gives the first line shown that does not follow in what was printed, -1 if
// there is none.
func missing(shown block, printed string) int {
	for i, line := range shown.lines {
		if strings.Trim(line, " …") == "" {
			continue
		}
		var pattern []string
		for part := range strings.SplitSeq(line, "…") {
			pattern = append(pattern, strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(part)), " ", ` +`))
		}
		at := regexp.MustCompile(`(?m)^ *` + strings.Join(pattern, `[^\n]*`)).FindStringIndex(printed)
		if at == nil {
			return i
		}
		printed = printed[at[1]:]
	}
	return -1
}
