package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

func (l *ledger) list(f Filter) (ids []int64) {
	l.tb.Helper()
	page, _, err := l.List(l.ctx, f, "", 100)
	l.must(err)
	for _, m := range page {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestList(t *testing.T) {
	l := newLedger(t)
	l.hospital("h2")
	delivered := l.enqueue(payment("A1", "L1"))
	d := l.one(delivered)
	n := next(d, delivery.Delivered)
	n.Receipt = &core.Receipt{HisNo: "HIS-1"}
	l.settle(d, n)
	parked := l.enqueue(payment("A2", "L2"))
	l.park(parked, core.InDoubt, inDoubt)
	blocked := l.enqueue(payment("A3", "L2"))
	sending := l.enqueue(payment("A4", "L4"))
	l.one(sending)
	superseded := l.enqueue(voiding("R1", "L5"))
	_, err := l.Cancel(l.ctx, superseded, "nurse", "")
	l.must(err)
	a, err := l.Supersede(l.ctx, superseded, voiding("R1", "").Body, "nurse", "")
	l.must(err)
	b, err := l.Enqueue(l.ctx, "h2", payment("A1", "L1"))
	l.must(err)
	corrected, elsewhere := a.ID, b.ID

	now, err := l.Now(l.ctx)
	l.must(err)
	all := []int64{elsewhere, corrected, superseded, sending, blocked, parked, delivered}
	for _, c := range []struct {
		name string
		f    Filter
		want []int64
	}{
		{"everything", Filter{}, all},
		{"no hospital", Filter{Hospitals: []string{}}, nil},
		{"one hospital", Filter{Hospitals: []string{"h2"}}, []int64{elsewhere}},
		{"both", Filter{Hospitals: []string{"h1", "h2"}}, all},
		{"kind", Filter{Kind: core.PrescriptionVoid}, []int64{corrected, superseded}},
		{"queued", Filter{State: delivery.Queued}, []int64{elsewhere, corrected, blocked}},
		{"queued here", Filter{State: delivery.Queued, Hospitals: []string{"h1"}}, []int64{corrected, blocked}},
		{"sending", Filter{State: delivery.Sending}, []int64{sending}},
		{"parked", Filter{State: delivery.Parked}, []int64{parked}},
		{"delivered", Filter{State: delivery.Delivered}, []int64{delivered}},
		{"cancelled", Filter{State: delivery.Cancelled}, []int64{superseded}},
		{"key", Filter{Key: "A1"}, []int64{elsewhere, delivered}},
		{"key in one hospital", Filter{Key: "A1", Hospitals: []string{"h1"}}, []int64{delivered}},
		{"key with its past", Filter{Key: "R1"}, []int64{corrected, superseded}},
		{"the HIS's number", Filter{HisNo: "HIS-1"}, []int64{delivered}},
		{"lane", Filter{Lane: "L2"}, []int64{blocked, parked}},
		{"class", Filter{Class: core.InDoubt}, []int64{parked}},
		{"since now", Filter{Since: now}, nil},
		{"until now", Filter{Until: now}, all},
		{"any number: a key", Filter{Number: "A1"}, []int64{elsewhere, delivered}},
		{"any number: a lane", Filter{Number: "L2"}, []int64{blocked, parked}},
		{"any number: the HIS's", Filter{Number: "HIS-1"}, []int64{delivered}},
		{"any number: the channel's", Filter{Number: "wxA2"}, []int64{parked}},
		{"any number: a bill's", Filter{Number: "B1", Hospitals: []string{"h1"}}, []int64{sending, blocked, parked, delivered}},
		{"any number: the visit's, in another lane", Filter{Number: "V1", State: delivery.Parked}, []int64{parked}},
		{"any number with its key", Filter{Number: "wxA1", Key: "A1"}, []int64{elsewhere, delivered}},
		{"another's number with a key", Filter{Number: "wxA2", Key: "A1"}, nil},
		{"a patient is no number", Filter{Number: "P1"}, nil},
		{"the HIS's number and a state", Filter{HisNo: "HIS-1", State: delivery.Parked}, nil},
		{"many hospitals", Filter{Hospitals: manyNames(manyHospitals+1, "h2"), Kind: core.PaymentSettle}, []int64{elsewhere}},
	} {
		if got := l.list(c.f); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	patients := func(f Filter, term string) (ids []int64) {
		t.Helper()
		page, _, err := l.SearchPatient(l.ctx, f, term, "nurse", "complaint 17", "", 100)
		l.must(err)
		for _, m := range page {
			ids = append(ids, m.ID)
		}
		return ids
	}
	if got := patients(Filter{}, " p1"); !slices.Equal(got, all) {
		t.Errorf("of the patient: %v", got)
	}
	if got := patients(Filter{Hospitals: []string{"h1"}, Number: "wxA2"}, "P1"); !slices.Equal(got, []int64{parked}) {
		t.Errorf("of the patient, by a number: %v", got)
	}
	if got := patients(Filter{Key: "A1"}, "P2"); got != nil {
		t.Errorf("of another patient: %v", got)
	}
	m, _, err := l.Message(l.ctx, blocked)
	if err != nil || m.BlockedBy != parked {
		t.Errorf("blocked by %d, want %d: %v", m.BlockedBy, parked, err)
	}

	var paged []int64
	for cursor := ""; ; {
		page, next, err := l.List(l.ctx, Filter{}, cursor, 3)
		l.must(err)
		for _, m := range page {
			paged = append(paged, m.ID)
		}
		if next == "" {
			break
		}
		cursor = next
	}
	if !slices.Equal(paged, all) {
		t.Errorf("in pages: %v", paged)
	}

	lights, err := l.Lights(l.ctx)
	l.must(err)
	h := lights["h1"]
	if h.Queued != 2 || h.Sending != 1 || h.Parked != 1 || h.InDoubt != 1 || h.Oldest == nil || lights["h2"].Queued != 1 {
		t.Errorf("lights %+v", lights)
	}
}

func manyNames(n int, last string) (names []string) {
	for i := range n - 1 {
		names = append(names, fmt.Sprint("other", i))
	}
	return append(names, last)
}

// Who looked for whom, and why, is in the audit, without the number that was typed.
func TestASearchForAPatientIsAnAct(t *testing.T) {
	l := newLedger(t)
	l.enqueue(payment("A1", "L1"))
	before := l.head().Number
	var ps core.Problems
	for _, c := range []struct{ patient, who, purpose string }{{"P1", "nurse", " "}, {" - ", "nurse", "why"}} {
		if _, _, err := l.SearchPatient(l.ctx, Filter{}, c.patient, c.who, c.purpose, "", 10); !errors.As(err, &ps) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, _, err := l.SearchPatient(l.ctx, Filter{}, "P1", "", "why", "", 10); err == nil {
		t.Error("nobody looked")
	}
	if l.head().Number != before {
		t.Error("what was refused is in the audit")
	}
	for _, term := range []string{"P1", "p 1", "P2"} {
		_, _, err := l.SearchPatient(l.ctx, Filter{Hospitals: []string{"h1"}}, term, "nurse", "complaint 17", "", 10)
		l.must(err)
	}
	acts, err := l.AuditEntries(l.ctx, AuditFilter{Verb: "search patient"}, 10)
	l.must(err)
	if len(acts) != 3 || acts[0].Actor != "nurse" || acts[0].Purpose != "complaint 17" || acts[0].Hospital != "h1" || acts[1].Subject != acts[2].Subject || acts[0].Subject == acts[1].Subject {
		t.Errorf("%+v", acts)
	}
	if all := count[string](l, `select string_agg(a::text, '') from hub.audit a`); strings.Contains(all, "P1") || strings.Contains(all, "P2") {
		t.Error("the patient's number stands in the audit")
	}
	if all := count[string](l, `select string_agg(f::text, '') from hub.found_by f`); strings.Contains(all, "P1") || strings.Contains(all, "wxA1") {
		t.Error("numbers stand in the open")
	}
}

// A new master key and a new data key leave what is found by as it is; another
// installation has other tokens for the same patient.
func TestTokensOutliveKeys(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	token := l.patientToken("P1")
	l.must(l.NewDataKey(l.ctx, ""))
	_, err := l.PrepareMaster(l.ctx, "")
	l.must(err)
	_, err = l.WrapAnew(l.ctx)
	l.must(err)
	_, err = l.ForgetMasters(l.ctx)
	l.must(err)
	again, err := Open(l.ctx, Options{URL: l.url, KeyFile: l.KeyFile})
	l.must(err)
	defer again.Close()
	if page, _, err := again.SearchPatient(l.ctx, Filter{}, "P1", "nurse", "why", "", 10); err != nil || len(page) != 1 || page[0].ID != id {
		t.Errorf("%v %v", page, err)
	}
	if other := newLedger(t); other.patientToken("P1") == token || other.patientToken("P1") == other.numberToken("P1") {
		t.Error("the same token elsewhere")
	}
}

// What is rare is looked for in steps, each page of which ends soon and says where to
// go on; nothing is left out on the way.
func TestARareMessageIsFoundInSteps(t *testing.T) {
	l := newLedger(t)
	l.exec(`insert into hub.message (id, hospital, kind, key, lane, place, state, digest, accepted_at, decided_at)
		select n, 'h' || n % 50, 'payment.settle', 'A' || n, 'L' || n, n, case n % 29990 when 7 then 'cancelled' else 'delivered' end, '',
			timestamptz '2026-01-05' + n * interval '1 minute', now() from generate_series(1, 60000) n`)
	var got []int64
	pages := 0
	for cursor := ""; ; pages++ {
		page, next, err := l.List(l.ctx, Filter{State: delivery.Cancelled}, cursor, 50)
		l.must(err)
		for _, m := range page {
			got = append(got, m.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, []int64{59987, 29997, 7}) || pages < 2 || pages > 6 {
		t.Errorf("%v in %d pages", got, pages)
	}
	// With a time the first page has it, and says that there is no more.
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	day := Filter{State: delivery.Cancelled, Since: at, Until: at.Add(24 * time.Hour)}
	if page, next, err := l.List(l.ctx, day, "", 50); err != nil || len(page) != 1 || page[0].ID != 7 || next != "" {
		t.Errorf("%v %q %v", page, next, err)
	}
	const last = 60000
	for _, c := range []struct{ since, until, want int }{{0, 10, 9}, {10, 20, 10}, {last - 10, last + 60, 11}, {last + 1, last + 2, 0}, {-60, 1, 0}, {30000, 30001, 1}} {
		f := Filter{Since: at.Add(time.Duration(c.since) * time.Minute), Until: at.Add(time.Duration(c.until) * time.Minute)}
		if page, next, err := l.List(l.ctx, f, "", 50); err != nil || len(page) != c.want || next != "" {
			t.Errorf("%+v: %d %q %v", c, len(page), next, err)
		}
	}
}

func TestAttemptsAndBytes(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	l.settle(d, next(d, delivery.Queued))
	d = l.one(id)
	a := attempt(d, core.OutcomeRejected)
	a.Exchange.Verdict.Words, a.Exchange.Verdict.Rule = "余额不足", "code=9"
	a.Exchange.Sent, a.Exchange.Received = []byte("<second/>"), nil
	_, err := l.Settle(l.ctx, d, a, next(d, delivery.Parked))
	l.must(err)
	_, attempts, err := l.Message(l.ctx, id)
	l.must(err)
	if len(attempts) != 2 || attempts[1].Number != 2 || attempts[1].Words != "余额不足" || attempts[1].Rule != "code=9" || attempts[1].Operation != "SavePay" || attempts[1].Duration != time.Millisecond {
		t.Errorf("attempts %+v", attempts)
	}
	x, err := l.Exchange(l.ctx, id, 2)
	if err != nil || len(x) != 1 || string(x[0].Request) != "<second/>" || x[0].Response != nil {
		t.Errorf("bytes %+v %v", x, err)
	}
	if _, err := l.Exchange(l.ctx, id, 3); !errors.Is(err, ErrNotFound) {
		t.Errorf("bytes of no attempt: %v", err)
	}
	if leak := count[bool](l, `select bool_or(position('second'::bytea in request) > 0) from hub.exchange`); leak {
		t.Error("bytes stand in the open")
	}
}

// Claiming and marking must leave the indexes alone.
func TestClaimsAreInPageUpdates(t *testing.T) {
	l := newLedger(t)
	var before, beforeHot int
	// A round during which an autovacuum worker looks at this database is told nothing by:
	// while it does, no page gives its space back. A column that is indexed fails all.
	for round := range 4 {
		for i := range 50 {
			l.enqueue(payment(fmt.Sprint("A", round, "-", i), fmt.Sprint("L", i)))
		}
		for range 5 {
			ds := l.claim(10)
			for i := range ds {
				l.sent(&ds[i])
				l.settle(&ds[i], next(&ds[i], delivery.Delivered))
			}
		}
		l.exec(`select pg_stat_force_next_flush()`)
		l.hot.Reset() // a session reports its statistics when it ends
		var updates, hot int
		for range 100 {
			l.must(l.calm.QueryRow(l.ctx, `select sum(n_tup_upd), sum(n_tup_hot_upd) from pg_stat_user_tables where schemaname = 'hub' and relname in ('queue', 'message')`).Scan(&updates, &hot))
			if updates-before >= 150 {
				break
			}
			l.exec(`select pg_stat_clear_snapshot()`)
			time.Sleep(50 * time.Millisecond) // the statistics come when they come
		}
		made, stayed := updates-before, hot-beforeHot
		if made >= 150 && stayed >= made*8/10 {
			return
		}
		t.Logf("%d of %d updates stayed in their page", stayed, made)
		before, beforeHot = updates, hot
	}
	t.Error("claims, marks and settlements are not in-page updates")
}
