package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// caller submits over connections that it keeps. It writes HTTP itself, because the
// client of net/http costs three times as much processor time, which here is the
// same machine's.
type caller struct {
	host string
	keys []string // taken in turns

	mu   sync.Mutex
	idle []*connection
	made int
}

type connection struct {
	net.Conn
	in  *bufio.Reader
	key string
}

// callTime bounds one request.
const callTime = time.Minute

func newCaller(api string, keys []string) *caller {
	return &caller{host: strings.TrimPrefix(api, "http://"), keys: keys}
}

// post sends JSON and returns the status and, unless it is 202, the answer's text.
func (c *caller) post(ctx context.Context, path string, content []byte) (status int, text string, err error) {
	l, err := c.connection(ctx)
	if err != nil {
		return 0, "", err
	}
	good := false
	defer func() {
		if !good {
			l.Close()
		}
	}()
	_ = l.SetDeadline(time.Now().Add(callTime)) // a TCP connection takes one
	var b bytes.Buffer
	b.Grow(len(content) + 256)
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, c.host, l.key, len(content))
	b.Write(content)
	if _, err := l.Write(b.Bytes()); err != nil {
		return 0, "", err
	}
	a, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	said, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, "", err
	}
	if good = !a.Close; good {
		c.mu.Lock()
		c.idle = append(c.idle, l)
		c.mu.Unlock()
	}
	if a.StatusCode == http.StatusAccepted {
		return a.StatusCode, "", nil
	}
	return a.StatusCode, string(said), nil
}

// connection is one that is idle, or a new one.
func (c *caller) connection(ctx context.Context) (*connection, error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		l := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return l, nil
	}
	key := c.keys[c.made%len(c.keys)]
	c.made++
	c.mu.Unlock()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.host)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReaderSize(conn, 4<<10), key}, nil
}

// close ends the connections that are idle.
func (c *caller) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.idle {
		l.Close()
	}
	c.idle = nil
}
