package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

func strikes(t *testing.T, seed uint64, rule Rule, n int) (hits []int) {
	t.Helper()
	s := NewScript(seed, HTTPKinds)
	defer s.Close()
	if err := s.Add(rule); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if s.Strike("IH1", "PAY001").Kind != "" {
			hits = append(hits, i)
		}
	}
	return hits
}

func TestRateIsDrawnFromTheSeed(t *testing.T) {
	a := strikes(t, 7, Rule{Fault: Busy, Rate: 0.1}, 10000)
	b := strikes(t, 7, Rule{Fault: Busy, Rate: 0.1}, 10000)
	c := strikes(t, 8, Rule{Fault: Busy, Rate: 0.1}, 10000)
	if len(a) < 800 || len(a) > 1200 {
		t.Errorf("%d strikes of 10000 at rate 0.1", len(a))
	}
	same := func(x, y []int) bool {
		for i := range min(len(x), len(y)) {
			if x[i] != y[i] {
				return false
			}
		}
		return len(x) == len(y)
	}
	if !same(a, b) || same(a, c) {
		t.Error("the same seed must draw the same strikes, another others")
	}
}

func TestARuleStrikesWhatItNamesAndIsUsedUp(t *testing.T) {
	s := NewScript(1, HTTPKinds)
	defer s.Close()
	if err := s.Add(Rule{Fault: Hang, Operation: "PAY001", Key: "H1", Times: 2}, Rule{Fault: Busy, Key: "IH2"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		operation, key string
		want           Kind
	}{{"RX001", "IH1", ""}, {"PAY001", "IH3", ""}, {"PAY001", "IH1", Hang}, {"RX001", "IH2", Busy}, {"PAY001", "IH1", Hang}, {"PAY001", "IH1", ""}} {
		if got := s.Strike(c.key, c.operation).Kind; got != c.want {
			t.Errorf("%s %s: %q, want %q", c.operation, c.key, got, c.want)
		}
	}
	if rules := s.Rules(); len(rules) != 1 || rules[0].Fault != Busy || rules[0].Hits != 1 {
		t.Errorf("left: %+v", rules)
	}
	if err := s.Add(Rule{Fault: Busy}, Rule{Fault: LateVerdict}); err == nil || len(s.Rules()) != 1 {
		t.Errorf("a list with a wrong rule: %v, %d rules", err, len(s.Rules()))
	}
}

func TestClearLetsGoWhatHangs(t *testing.T) {
	s := NewScript(1, HTTPKinds)
	defer s.Close()
	_ = s.Add(Rule{Fault: Hang})
	strike := s.Strike("", "")
	gone := make(chan struct{})
	go func() { s.Hold(t.Context(), strike); close(gone) }()
	select {
	case <-gone:
		t.Fatal("it did not hang")
	case <-time.After(20 * time.Millisecond):
	}
	s.Clear()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Fatal("it hangs on")
	}
}

func TestAPortRefusesWhileDownAndComesBack(t *testing.T) {
	s := NewScript(1, HTTPKinds)
	defer s.Close()
	p, err := Listen("127.0.0.1:0", s)
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := p.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() error {
		c, err := net.Dial("tcp", p.Addr().String())
		if err == nil {
			c.Close()
		}
		return err
	}
	for range 3 {
		_ = s.Add(Rule{Fault: Down})
		if err := dial(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("down: %v", err)
		}
		s.Clear()
		if err := dial(); err != nil {
			t.Errorf("up again: %v", err)
		}
		(<-accepted).Close()
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, open := <-accepted; open {
		t.Error("accepted after Close")
	}
}

func TestRulesAreWrittenAsTheManualSays(t *testing.T) {
	var r Rule
	err := json.Unmarshal([]byte(`{"fault":"commit_then_hang","operation":"ConfirmSettle","key":"IH2026","times":1,"rate":0.1,"delay":"10s"}`), &r)
	if err != nil || r != (Rule{Fault: CommitThenHang, Operation: "ConfirmSettle", Key: "IH2026", Times: 1, Rate: 0.1, Delay: Delay(10 * time.Second)}) {
		t.Errorf("%+v %v", r, err)
	}
	if err := json.Unmarshal([]byte(`{"fault":"slow","delay":"soon"}`), &r); err == nil {
		t.Error("delay soon was read")
	}
}

func TestOnlyTheFirstRequestOfAKey(t *testing.T) {
	s := NewScript(1, HTTPKinds)
	if err := s.Add(Rule{Fault: Busy, First: true, Rate: 0.5}); err != nil {
		t.Fatal(err)
	}
	struck := 0
	for i := range 1000 {
		key := fmt.Sprint("RX", i)
		if s.Strike(key, "Save").Kind == Busy {
			struck++
		}
		for range 3 {
			if s.Strike(key, "Save").Kind != "" {
				t.Fatal("a later request met it")
			}
		}
	}
	if struck < 400 || struck > 600 {
		t.Errorf("%d of 1000 met it, at a rate of a half", struck)
	}
	if err := s.Add(Rule{Fault: Down, First: true}); err == nil {
		t.Error("down knows no keys")
	}
}
