package db

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"hishub/core"
)

// The real drivers, against a server that never says a word: the call ends with
// its deadline, nothing of it left, and no credentials are shown.
func TestALoginThatHangsIsUnavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for driver, dsn := range map[string]string{
		"sqlserver": "sqlserver://hub:s3cret@" + l.Addr().String() + "?database=his",
		"oracle":    "oracle://hub:s3cret@" + l.Addr().String() + "/his",
		"mysql":     "hub:s3cret@tcp(" + l.Addr().String() + ")/his",
	} {
		t.Run(driver, func(t *testing.T) {
			x, err := Open(core.ConnectorSpec{Options: map[string]any{"driver": driver, "dsn": dsn}})
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan time.Time, 1)
			go func() {
				c := <-accepted
				defer c.Close()
				ended <- time.Now()
				cancel()
				<-t.Context().Done()
			}()
			_, err = x.Call(ctx, core.Request{Operation: "select 1"})
			took := time.Since(<-ended)
			if core.ClassOf(err) != core.Unavailable || !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "s3cret") || took > 2*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
}

func TestNoServerIsUnavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for driver, dsn := range map[string]string{"sqlserver": "sqlserver://hub:s3cret@" + address + "?database=his", "oracle": "oracle://hub:s3cret@" + address + "/his"} {
		x, err := Open(core.ConnectorSpec{Options: map[string]any{"driver": driver, "dsn": dsn}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = x.Call(t.Context(), core.Request{Operation: "select 1"})
		if core.ClassOf(err) != core.Unavailable || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", driver, err)
		}
		x.Close()
	}
}
