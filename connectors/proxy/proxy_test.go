package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"hishub/connectors/proxy"
)

// patience is for what must come sooner or later.
const patience = 30 * time.Second

// echo answers each line with itself, and keeps all that it heard.
func echo(t *testing.T) (address string, heard chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	heard = make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					line, err := r.ReadString('\n')
					if line != "" {
						heard <- line
					}
					if err != nil {
						return
					}
					_, _ = io.WriteString(c, line)
				}
			}()
		}
	}()
	return l.Addr().String(), heard
}

func through(t *testing.T) (p *proxy.Proxy, c net.Conn, heard chan string) {
	t.Helper()
	address, heard := echo(t)
	p, err := proxy.New("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	c, err = net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	say(t, c, "hello\n")
	if got := hear(t, c, 6); got != "hello\n" {
		t.Fatalf("heard %q", got)
	}
	<-heard
	return p, c, heard
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func set(t *testing.T, p *proxy.Proxy, m proxy.Mode) {
	t.Helper()
	if err := p.Set(m); err != nil {
		t.Fatal(err)
	}
}

func closed(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is not closed by the other side: %v", err)
	}
}

func TestCutBeforePassesHalfARequest(t *testing.T) {
	p, c, heard := through(t)
	set(t, p, proxy.CutBefore)
	say(t, c, "12345678\n")
	if got := <-heard; got != "1234" {
		t.Errorf("the server heard %q", got)
	}
	closed(t, c)
}

func TestABlackHolePassesNothing(t *testing.T) {
	p, c, heard := through(t)
	set(t, p, proxy.BlackHole)
	say(t, c, "lost\n")
	<-p.Held
	set(t, p, proxy.Through)
	say(t, c, "found\n")
	if got := <-heard; got != "found\n" {
		t.Errorf("the server heard %q", got)
	}
}

func TestWhatHangsIsReleasedLate(t *testing.T) {
	p, c, heard := through(t)
	set(t, p, proxy.Hang)
	say(t, c, "late\n")
	<-p.Held
	if got := <-heard; got != "late\n" {
		t.Errorf("the server heard %q", got)
	}
	set(t, p, proxy.Through)
	p.Release()
	if got := hear(t, c, 5); got != "late\n" {
		t.Errorf("heard %q", got)
	}
}

func TestSetForgetsWhatAtWaitsFor(t *testing.T) {
	p, c, _ := through(t)
	p.At("COMMIT", proxy.CutAfter)
	set(t, p, proxy.Through)
	say(t, c, "commit\n")
	if got := hear(t, c, 7); got != "commit\n" {
		t.Errorf("heard %q", got)
	}
	p.At("COMMIT", proxy.CutAfter)
	say(t, c, "commit\n")
	closed(t, c)
}
