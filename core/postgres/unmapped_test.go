package postgres

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

func TestCodesThatTablesLackAreCounted(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	l.sent(d)
	a := &delivery.Attempt{Number: 1, Phase: delivery.Send, Exchange: core.Exchange{Hospital: "h1", Verdict: core.Verdict{Outcome: core.OutcomeInvalid}, Codes: []core.CodeUse{
		{Table: "drug", Direction: core.CodeOut, Code: "D1", Text: "阿莫西林"}, {Table: "icd", Direction: core.CodeOut, Code: "J00", Defaulted: true},
	}}}
	_, err := l.Settle(l.ctx, d, a, next(d, delivery.Parked))
	l.must(err)
	l.NoteCodes("h1", 0, core.CodeUse{Table: "drug", Direction: core.CodeOut, Code: "D1"}, core.CodeUse{Table: "drug", Direction: core.CodeIn, Code: "D1"})
	l.NoteCodes("h2", 0, core.CodeUse{Table: "drug", Direction: core.CodeOut, Code: "D1\x00\xff"})

	all, err := l.Unmapped(l.ctx, []string{"h1"}, false)
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v %v", all, err)
	}
	if u := all[0]; u.Code != "D1" || u.Direction != core.CodeOut || u.Unmapped != 2 || u.Defaulted != 0 || u.Text != "阿莫西林" || u.Message != id || u.FirstSeen.IsZero() || u.LastSeen.Before(u.FirstSeen) {
		t.Errorf("oftenest: %+v", u)
	}
	if u := all[1]; u.Direction != core.CodeIn || u.Unmapped != 1 || u.Message != 0 {
		t.Errorf("the other way: %+v", u)
	}
	if u := all[2]; u.Code != "J00" || u.Unmapped != 0 || u.Defaulted != 1 {
		t.Errorf("by default: %+v", u)
	}
	if why := count[string](l, `select because from hub.attempt where message = $1`, id); !strings.Contains(why, `code table icd: default used for "J00"`) || strings.Contains(why, "drug") {
		t.Errorf("the attempt says %q", why)
	}
	if every, err := l.Unmapped(l.ctx, nil, false); err != nil || len(every) != 4 {
		t.Errorf("of all hospitals: %+v %v", every, err)
	}

	l.must(l.DismissUnmapped(l.ctx, "h1", "drug", core.CodeIn, "D1", "it", "a typing error"))
	if err := l.DismissUnmapped(l.ctx, "h1", "drug", core.CodeIn, "D1", "it", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("dismissed twice: %v", err)
	}
	l.NoteCodes("h1", 7, core.CodeUse{Table: "drug", Direction: core.CodeIn, Code: "D1"})
	if left, _ := l.Unmapped(l.ctx, []string{"h1"}, false); len(left) != 2 {
		t.Errorf("after one was dismissed: %+v", left)
	}
	every, err := l.Unmapped(l.ctx, []string{"h1"}, true)
	if err != nil || len(every) != 3 || every[0].DismissedBy != "it" || every[0].Note != "a typing error" || every[0].Unmapped != 2 || every[0].Message != 7 {
		t.Errorf("with the dismissed: %+v %v", every, err)
	}
	if ds, err := l.HospitalDecisions(l.ctx, "h1", 1); err != nil || ds[0].Verb != "dismiss code" || ds[0].Who != "it" {
		t.Errorf("recorded: %+v %v", ds, err)
	}
}

// A condition that fails for a code is decided without an attempt.
func TestACodeWithoutAnAttemptIsCounted(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	n := next(d, delivery.Parked)
	n.Codes = []core.CodeUse{{Table: "drug", Direction: core.CodeOut, Code: "D1"}}
	_, err := l.Settle(l.ctx, d, nil, n)
	l.must(err)
	if all, err := l.Unmapped(l.ctx, []string{"h1"}, false); err != nil || len(all) != 1 || all[0].Unmapped != 1 || all[0].Message != id {
		t.Errorf("%+v %v", all, err)
	}
}

// Two processes count at once; nothing is lost and nobody waits in a ring.
func TestCodesAreCountedByManyAtOnce(t *testing.T) {
	l := newLedger(t)
	use := func(i int) core.CodeUse {
		return core.CodeUse{Table: "t", Direction: core.CodeOut, Code: string(rune('a' + i%26)), Defaulted: i%2 == 0}
	}
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for i := range 260 {
				l.NoteCodes("h1", int64(i+1), use(i))
				if i%40 == 0 {
					if err := l.writeCodes(l.ctx); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	work.Wait()
	all, err := l.Unmapped(l.ctx, []string{"h1"}, false)
	l.must(err)
	sum := int64(0)
	for _, u := range all {
		sum += u.Unmapped + u.Defaulted
	}
	if len(all) != 26 || sum != 4*260 {
		t.Errorf("%d codes, %d uses", len(all), sum)
	}
}

// What was counted is written within seconds without anybody asking, and what could
// not be written is kept.
func TestCountedCodesAreNotLost(t *testing.T) {
	l := newLedger(t)
	l.NoteCodes("h1", 1, core.CodeUse{Table: "t", Direction: core.CodeOut, Code: "by itself"})
	for end := time.Now().Add(30 * time.Second); count[int](l, `select count(*) from hub.unmapped_code`) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not written")
		}
	}
	_, err := l.calm.Exec(l.ctx, `alter table hub.unmapped_code rename to away`)
	l.must(err)
	l.NoteCodes("h1", 1, core.CodeUse{Table: "t", Direction: core.CodeOut, Code: "late"})
	if err := l.writeCodes(l.ctx); err == nil {
		t.Error("written into nothing")
	}
	_, err = l.calm.Exec(l.ctx, `alter table hub.away rename to unmapped_code`)
	l.must(err)
	if all, err := l.Unmapped(l.ctx, []string{"h1"}, false); err != nil || len(all) != 2 {
		t.Errorf("%+v %v", all, err)
	}
}

// A cell that takes numbers for codes fills the worklist of its table only so far.
func TestTheWorklistIsBounded(t *testing.T) {
	l := newLedger(t)
	_, err := l.calm.Exec(l.ctx, `insert into hub.unmapped_code (hospital, code_table, direction, code) select 'h1', 't', 'out', 'n' || n from generate_series(1, $1::int) n`, maxWorklist)
	l.must(err)
	l.NoteCodes("h1", 1, core.CodeUse{Table: "t", Direction: core.CodeOut, Code: "new"}, core.CodeUse{Table: "t", Direction: core.CodeOut, Code: "n7"}, core.CodeUse{Table: "other", Direction: core.CodeOut, Code: "new"})
	all, err := l.Unmapped(l.ctx, []string{"h1"}, false)
	if err != nil || len(all) != maxWorklist+1 || all[0].Code != "new" && all[1].Code != "new" {
		t.Errorf("%d entries, %v", len(all), err)
	}
}
