package torture

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/mocks/servers"
)

// mayMount is "" where this process may give a folder a file system of its own, and
// else says why not, and what to do.
func mayMount() string {
	dir, remove, err := servers.TempDir()
	if err != nil {
		return err.Error()
	}
	defer remove()
	if err := syscall.Mount("hishub-torture", dir, "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Sprintf("no small file system can be mounted here (%v): run it as root with CAP_SYS_ADMIN, or under 'unshare --user --map-root-user --mount'", err)
	}
	if err := syscall.Unmount(dir, 0); err != nil {
		return fmt.Sprintf("unmount what was mounted to try it: %v", err)
	}
	return ""
}

// layDiskFull: the disk of PostgreSQL is full, twice. Submissions are answered with
// 503, and nothing of them is there; once there is room again, everything goes on.
func (c *campaign) layDiskFull() {
	disk := filepath.Join(c.dir, "disk")
	must(c.T, "make a folder", os.MkdirAll(disk, 0o755))
	// A new cluster takes 60 MB, and each file of its log 16.
	must(c.T, "mount a small file system", syscall.Mount("hishub-torture", disk, "tmpfs", 0, "mode=0755,size=300m"))
	c.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	server, err := servers.StartPostgres(c.Context(), filepath.Join(disk, "own"))
	must(c.T, "start the hubs' PostgreSQL on the small file system", err)
	c.Cleanup(server.Kill)
	c.postgres = server.URL
	refused := make(chan struct{}, 1000)
	c.submitting = func(n int, h *hospital, kind core.Kind, body core.Body) (int, []byte) {
		return c.insist(n, h, kind, body, refused)
	}
	c.faults = func() {
		for i := range 2 {
			c.after(0.2 + 0.3*float64(i))
			free := c.fill(disk)
			for len(refused) > 0 {
				<-refused
			}
			for range clients { // everybody who submits has met it
				select {
				case <-refused:
				case <-time.After(time.Minute):
					c.Fatalf("seed %d: the disk is full, and nobody was refused for a minute", c.seed)
				}
			}
			time.Sleep(c.between(uint64(10+i), time.Second, 5*time.Second))
			free()
			c.inflict("disk full")
			c.back(server)
			c.goesOn("with room again", 5)
		}
	}
	c.ended = func(found) {
		for what, query := range map[string]string{
			"messages without their body":    `select count(*) from hub.message m where not exists (select from hub.body b where b.message = m.id)`,
			"undecided ones without a place": `select count(*) from hub.message m where m.state in ('queued', 'parked') and not exists (select from hub.queue q where q.message = m.id)`,
			"decided ones in the queue":      `select count(*) from hub.message m join hub.queue q on q.message = m.id where m.state in ('delivered', 'cancelled')`,
		} {
			if n := c.ledger.number(query); n > 0 {
				c.Errorf("seed %d: %d %s", c.seed, n, what)
			}
		}
	}
}

// insist submits until it is accepted. What cannot be taken now must be answered with
// 503, as a problem that says so and when to come again.
func (c *campaign) insist(n int, h *hospital, kind core.Kind, body core.Body, refused chan<- struct{}) (int, []byte) {
	content, err := json.Marshal(body)
	must(c.T, "write a submission", err)
	for try := n; ; try++ {
		status, answer, err := c.request(c.ctx, c.hubs[try%len(c.hubs)], http.MethodPost, fmt.Sprintf("/v1/hospitals/%s/messages/%s", h.id, kind), content)
		switch {
		case c.ctx.Err() != nil:
			return 0, nil
		case err == nil && status < 500:
			return status, answer
		case err == nil && (status != http.StatusServiceUnavailable || !strings.Contains(string(answer), "/problems/unavailable")):
			c.Errorf("seed %d: a submission was answered with %d %s", c.seed, status, answer)
			return status, answer
		case err == nil:
			c.count("submissions answered with 503")
			select {
			case refused <- struct{}{}:
			default:
			}
		default:
			c.count("submissions without an answer in time")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// fill leaves no byte on the disk until free is called. What the server gives back
// meanwhile is taken, too.
func (c *campaign) fill(disk string) (free func()) {
	path := filepath.Join(disk, "ballast")
	f, err := os.Create(path)
	must(c.T, "fill the disk", err)
	take := func() {
		for block := make([]byte, 1<<20); len(block) > 0; {
			if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
				block = block[:len(block)/2]
			} else if err != nil {
				c.Errorf("fill the disk: %v", err)
				return
			}
		}
	}
	take()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				take()
			}
		}
	}()
	return func() {
		close(stop)
		<-done
		f.Close()
		must(c.T, "make room", os.Remove(path))
	}
}

// back waits for the server. One that could not write its log has ended; a person
// starts it again.
func (c *campaign) back(server *servers.Server) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		conn, err := pgx.Connect(c.ctx, server.URL)
		if err == nil {
			conn.Close(c.ctx)
			return
		}
	}
	c.count("PostgreSQL ended for want of room")
	must(c.T, "restart PostgreSQL", server.Restart(c.ctx))
}
