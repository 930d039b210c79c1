package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/mapping"
)

// donghu is the folder of a HIS that speaks over bare connections, both ways.
func donghu(t *testing.T, his, port string) *mapping.Folder {
	t.Helper()
	env := map[string]string{"DONGHU_ADDRESS": his, "DONGHU_PORT": port, "DONGHU_WINDOW_KEY": "donghu-window-test"}
	f, err := mapping.Load(os.DirFS("../../mapping/testdata/good/donghu"), mapping.Options{
		Open: connectors.Open, Listen: connectors.Listen, Env: func(n string) (string, bool) { v, ok := env[n]; return v, ok },
	})
	ok(t, err)
	return f
}

func TestCasesOverTCP(t *testing.T) {
	f := donghu(t, "127.0.0.1:1", "127.0.0.1:1")
	if len(f.Warnings) > 0 {
		t.Error(f.Warnings)
	}
	results := f.RunCases()
	if len(results) != 5 {
		t.Errorf("%d cases ran", len(results))
	}
	for _, r := range results {
		if !r.Passed() {
			t.Errorf("%s:\n%s", r.Name, strings.Join(r.Differences, "\n"))
		}
	}
}

// kept is an inbound.Store in memory: each fact once, with its verdict.
type kept struct {
	inbound.Store
	mu   sync.Mutex
	all  map[string]*inbound.Stored
	said []string
}

func (k *kept) Arrive(_ context.Context, f inbound.Fact, _ []byte, _ *core.Resolution) (inbound.Stored, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.all[f.Body.Key()]
	if s == nil {
		s = &inbound.Stored{ID: int64(len(k.all) + 1), Open: true}
		k.all[f.Body.Key()] = s
	}
	s.Number++
	return *s, nil
}

func (k *kept) Decide(_ context.Context, id int64, f inbound.Fact, r core.Resolution) (core.Resolution, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.all[f.Body.Key()]
	s.Open, s.Resolution = false, r
	return r, nil
}

func (k *kept) Said(_ context.Context, id int64, number int, _, answer []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.said = append(k.said, fmt.Sprintf("%d.%d", id, number))
	return nil
}

// A HIS calls the port that its folder says, over one connection: a refund, the
// same again, one that is forged, and something that nobody knows.
func TestAHISCallsAPort(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	address := free.Addr().String()
	free.Close()

	opened := &opening{ready: make(chan struct{}), hospital: core.NewHospital(donghu(t, "127.0.0.1:1", address).Dialect, 1, nil, nil, nil)}
	close(opened.ready)
	store, paid := &kept{all: map[string]*inbound.Stored{}}, 0
	log := slog.New(slog.DiscardHandler)
	h := &hub{log: log, metrics: newMetrics(), hospitals: &hospitals{
		open:   map[revisionKey]*opening{{"donghu", 1}: opened},
		active: map[string]postgres.HospitalRecord{"donghu": {ID: "donghu", Revision: 1}},
	}}
	h.desk = &inbound.Desk{Store: store, Log: log, Deciders: map[core.Kind]inbound.Decider{
		core.RefundApply: func(_ context.Context, hospital string, b core.Body) (core.Resolution, error) {
			paid++
			return core.Resolution{State: core.ResultDone, Message: "已退 " + hospital, Answer: &core.Receipt{Number: fmt.Sprint("TK", paid)}}, nil
		},
	}}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		h.hear(ctx)
		close(served)
	}()
	var conn net.Conn
	for deadline := time.Now().Add(time.Minute); conn == nil; {
		if conn, err = net.Dial("tcp", address); err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	request := func(name string) []byte {
		b, err := os.ReadFile("../../mapping/testdata/good/donghu/cases/refund.apply." + name + "/request.bin")
		ok(t, err)
		return b
	}
	hear := func() string {
		t.Helper()
		head := make([]byte, 8)
		_, err := io.ReadFull(conn, head)
		ok(t, err)
		n, err := strconv.Atoi(string(head))
		ok(t, err)
		body := make([]byte, n-8)
		_, err = io.ReadFull(conn, body)
		ok(t, err)
		text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(body)
		ok(t, err)
		return string(text)
	}
	for _, name := range []string{"done", "done", "forged"} {
		conn.Write(request(name))
	}
	const prolog = `<?xml version="1.0" encoding="UTF-8"?>`
	done := prolog + "<Response><State>SUCCESS</State><Words>已退 donghu</Words><Number>TK1</Number></Response>"
	for i, want := range []string{done, done, prolog + "<Response><State>INVALID</State><Words>签名或报文不正确</Words><Number></Number></Response>"} {
		if got := hear(); got != want {
			t.Errorf("answer %d: %s\nwant %s", i+1, got, want)
		}
	}
	io.WriteString(conn, "00000011<a>")
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("what nobody knows got %v", err)
	}
	stop()
	<-served
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the port is open after the end")
	}
	if got := strings.Join(store.said, " "); got != "1.1 1.2" {
		t.Errorf("kept %s", got)
	}
}
