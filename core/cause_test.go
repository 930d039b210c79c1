package core

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Why a HIS did not answer is said in words that hold no address.
func TestCauses(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 9, 8, 7), Port: 4321}, Err: os.NewSyscallError("connect", err)}
	}
	left := func(err error) error { return &Fault{Class: InDoubt, Op: "soap SaveFee", Err: err} }
	unsent := func(err error) error { return &Fault{Class: Unavailable, Op: "soap SaveFee", Err: err} }
	for name, c := range map[string]struct {
		err  error
		took time.Duration // 0: it was not called
		want Cause
	}{
		"refused":         {unsent(dial(syscall.ECONNREFUSED)), time.Millisecond, Cause{"the HIS refused the connection", "HIS 拒绝连接"}},
		"in a database":   {unsent(fmt.Errorf("connect: %w", dial(syscall.ECONNREFUSED))), time.Millisecond, Cause{"the HIS refused the connection", "HIS 拒绝连接"}},
		"no way":          {unsent(dial(syscall.EHOSTUNREACH)), time.Millisecond, Cause{"no way leads to the HIS's network", "无法到达 HIS 网络"}},
		"another":         {unsent(dial(errors.New("no such device"))), time.Millisecond, Cause{English: "connect: no such device"}},
		"hung":            {left(context.DeadlineExceeded), 10*time.Second + 20*time.Millisecond, Cause{"no answer within 10 s", "10 秒内无应答"}},
		"dial hung":       {unsent(context.DeadlineExceeded), 5 * time.Second, Cause{"no connection within 5 s", "5 秒内未能建立连接"}},
		"certificate":     {unsent(errors.New("no trusted TLS connection: its certificate ran out, or is not valid yet")), time.Second, Cause{English: "no trusted TLS connection: its certificate ran out, or is not valid yet"}},
		"login refused":   {fmt.Errorf(loggingIn+"%w", &Fault{Class: Unavailable, Op: "login", Err: unsent(dial(syscall.ECONNREFUSED))}), 0, Cause{"log in: the HIS refused the connection", "登录时：HIS 拒绝连接"}},
		"login hung":      {fmt.Errorf(loggingIn+"%w", left(context.DeadlineExceeded)), 0, Cause{"log in: no answer in time", "登录时：超时无应答"}},
		"login in ledger": {fmt.Errorf(loggingIn+"%w", errors.New("dial redis at 10.9.8.7:6379")), 0, Cause{}},
		"the ledger":      {errors.New("postgres://hub:secret@10.9.8.7/x"), 0, Cause{}},
		"unread":          {errors.New("fee.yaml:7:3: no rule holds"), time.Second, Cause{English: "fee.yaml:7:3: no rule holds"}},
		"nothing known":   {nil, time.Second, Cause{}},
	} {
		x := Exchange{Verdict: Verdict{Outcome: Outcome(ClassOf(c.err)), Err: c.err}}
		if c.took > 0 {
			x.Called = time.Unix(1, 0)
			x.Answered = x.Called.Add(c.took)
		}
		got := x.Cause()
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if strings.Contains(got.English, "10.9.8.7") {
			t.Errorf("%s: the address is in %q", name, got.English)
		}
	}
	for _, o := range []Outcome{OutcomeRejected, OutcomeInvalid, OutcomeBusy} {
		if x := (Exchange{Called: time.Unix(1, 0), Verdict: Verdict{Outcome: o, Err: errors.New("x")}}); x.Cause() != (Cause{}) {
			t.Errorf("%s has a cause", o)
		}
	}
	if x := (Exchange{Called: time.Unix(1, 0), Verdict: Verdict{Outcome: OutcomeInDoubt, Err: errors.New(strings.Repeat("甲", 300))}}); x.Cause().English != strings.Repeat("甲", maxCause)+"…" {
		t.Error("a long one is not cut")
	}
}
