package postgres

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/incident"
	"hishub/core/replay"
)

// audited is a ledger with n entries in its audit.
func audited(t *testing.T, n int) *ledger {
	l := newLedger(t)
	for i := l.head().Number; i < int64(n); i++ {
		l.must(l.Audit(l.ctx, Act{Who: "张三", Verb: "unmask", Hospital: "h1", Subject: fmt.Sprint("message ", i), Purpose: "核对：3:9 姓名\n1:x"}))
	}
	return l
}

func (l *ledger) head() AuditHead {
	l.tb.Helper()
	h, err := l.AuditHead(l.ctx)
	l.must(err)
	return h
}

func (l *ledger) verify(known ...Digest) []string {
	l.tb.Helper()
	r, err := l.VerifyAudit(l.ctx, known...)
	l.must(err)
	var all []string
	for _, f := range r.Faults {
		all = append(all, fmt.Sprintf("%d %s", f.Number, f.What))
	}
	return all
}

// tamper is what who owns the database can do.
func (l *ledger) tamper(sql ...string) {
	l.tb.Helper()
	l.exec(`alter table hub.audit disable trigger audit_refuse`)
	for _, s := range sql {
		l.exec(s)
	}
}

func TestTheAuditIsOneChain(t *testing.T) {
	l := audited(t, 8)
	if faults := l.verify(l.head().Digest); faults != nil {
		t.Errorf("an untouched chain: %s", faults)
	}
	all, err := l.AuditEntries(l.ctx, AuditFilter{}, 100)
	l.must(err)
	for i, e := range all {
		if e.Number != int64(8-i) || e.Digest != e.as(e.Number) || i > 0 && all[i-1].Previous != e.Digest {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	if l.head() != (AuditHead{8, all[0].Digest}) || all[7].Verb != "apply" || all[7].Previous != (Digest{}) || all[7].Hospital != "h1" || all[7].Actor != "tester" {
		t.Errorf("ends: %+v, %+v", l.head(), all[7])
	}
	if n := count[int](l, `select count(*) from hub.audit_inbox`); n != 0 {
		t.Errorf("%d left in the inbox", n)
	}
	for _, sql := range []string{`update hub.audit set actor = 'x'`, `delete from hub.audit`, `truncate hub.audit`} {
		if _, err := l.calm.Exec(l.ctx, sql); err == nil || !strings.Contains(err.Error(), "only added to") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestWhatWasDoneToTheAuditIsNamed(t *testing.T) {
	renumber := func(from, to int) string {
		return fmt.Sprintf(`update hub.audit set number = %d where number = %d`, to, from)
	}
	rewrite := func(n int) string { // as the hub would have written it
		return fmt.Sprintf(`update hub.audit a set digest = sha256(a.previous || hub.audit_content(number::text, ((extract(epoch from at) * 1000000)::bigint)::text,
			actor, role, verb, hospital, subject, purpose, request, data)) where number = %d`, n)
	}
	for name, c := range map[string]struct {
		tamper []string
		want   []string // the beginning of each
	}{
		"altered":             {[]string{`update hub.audit set purpose = 'curious' where number = 4`}, []string{"4 altered"}},
		"its time":            {[]string{`update hub.audit set at = at + interval '1 microsecond' where number = 4`}, []string{"4 altered"}},
		"moved between":       {[]string{`update hub.audit set actor = actor || verb, verb = '' where number = 4`}, []string{"4 altered"}},
		"its digest":          {[]string{`update hub.audit set digest = sha256('x') where number = 4`}, []string{"4 altered"}},
		"altered, rewritten":  {[]string{`update hub.audit set purpose = 'curious' where number = 4`, rewrite(4)}, []string{"5 does not follow entry 4"}},
		"deleted":             {[]string{`delete from hub.audit where number = 4`}, []string{"4 missing"}},
		"several deleted":     {[]string{`delete from hub.audit where number in (1, 2, 3)`}, []string{"1 missing up to 3"}},
		"deleted, renumbered": {[]string{`delete from hub.audit where number = 6`, renumber(7, 6), renumber(8, 7)}, []string{"6 moved: it was entry 7", "7 moved: it was entry 8", "8 missing", "8 an anchor was signed"}},
		"reordered":           {[]string{renumber(4, 99), renumber(7, 4), renumber(99, 7)}, []string{"4 moved: it was entry 7", "7 moved: it was entry 4"}},
		"inserted": {[]string{renumber(8, 9), renumber(7, 8), `insert into hub.audit select 7, at, 'nobody', role, verb, hospital, subject, purpose, request, data, digest, digest from hub.audit where number = 6`, rewrite(7),
			`update hub.audit_head set number = 9`}, []string{"7 put in: what was entry 7 is entry 8", "8 another digest than its anchor's", "8 moved: it was entry 7", "9 moved: it was entry 8"}},
		"inserted at the end":   {[]string{`insert into hub.audit select 9, at, 'nobody', role, verb, hospital, subject, purpose, request, data, digest, digest from hub.audit where number = 8`, rewrite(9)}, []string{"9 put in past the chain's end"}},
		"cut off":               {[]string{`delete from hub.audit where number > 6`}, []string{"0 the head", "7 missing up to 8", "8 an anchor was signed"}},
		"cut off with its head": {[]string{`delete from hub.audit where number > 6`, `update hub.audit_head set (number, digest) = (select number, digest from hub.audit where number = 6)`}, []string{"0 the head", "8 an anchor was signed"}},
		"cut off, head, anchor": {[]string{`delete from hub.audit where number > 6`, `update hub.audit_head set (number, digest) = (select number, digest from hub.audit where number = 6)`, `delete from hub.audit_anchor`}, []string{"0 the head"}},
		"a made up anchor":      {[]string{`insert into hub.audit_anchor select number, digest, at, sha256('x') from hub.audit where number = 3`}, []string{"3 the anchor of this entry is not signed"}},
		"all of it":             {[]string{`delete from hub.audit`}, []string{"0 the head", "1 missing up to 8", "8 an anchor was signed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := audited(t, 8)
			head, fresh, err := l.AnchorAudit(l.ctx)
			l.must(err)
			if _, again, err := l.AnchorAudit(l.ctx); err != nil || again || !fresh {
				t.Errorf("anchored twice: %v %v %v", fresh, again, err)
			}
			l.tamper(c.tamper...)
			got := l.verify(head.Digest)
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// Two processes act at once; what one rolled back is not there, and has no number.
func TestActsOfSeveralProcessesAreOneChain(t *testing.T) {
	l := newLedger(t)
	other, err := Open(l.ctx, Options{URL: l.url, KeyFile: l.KeyFile})
	l.must(err)
	t.Cleanup(other.Close)
	for i := range 4 { // one each, so that nothing but the chain is between them
		l.hospital(fmt.Sprint("at", i))
	}
	before := l.head().Number
	var all sync.WaitGroup
	for i, s := range []*Store{l.Store, other, l.Store, other} {
		all.Go(func() {
			for j := range 25 {
				if err := s.Pause(l.ctx, fmt.Sprint("at", i), fmt.Sprintf("p%d", i), fmt.Sprint(j)); err != nil {
					t.Error(err)
				}
				if err := s.Pause(l.ctx, "no such hospital", "p", "rolled back"); err == nil {
					t.Error("paused a hospital that is not there")
				}
			}
		})
	}
	all.Wait()
	if faults := l.verify(l.head().Digest); faults != nil {
		t.Errorf("%s", faults)
	}
	if n := l.head().Number - before; n != 100 {
		t.Errorf("%d entries of 100 acts", n)
	}
}

// An act that is not carried out leaves no entry, one that is leaves one with where
// it came from, whatever it is about.
func TestEveryActIsInTheAudit(t *testing.T) {
	l := newLedger(t)
	ctx := WithOrigin(l.ctx, &Origin{Who: "li (key 7)", Role: "operator", Request: "RQ1"})
	before := l.head().Number
	id := l.enqueue(payment("A1", "L1"))
	l.must(l.Retry(ctx, id, "li (key 7)"))
	if err := l.Release(ctx, id, "li (key 7)", Again, "not parked"); err == nil {
		t.Error("released one that is not parked")
	}
	key, err := l.AddKey(ctx, Key{Prefix: "p", Hash: []byte("h"), Name: "clinic", Role: "submitter"})
	l.must(err)
	l.must(l.RevokeKey(ctx, key))
	hook, err := l.AddWebhook(ctx, Webhook{URL: "https://a.example/secret-path", Secret: []byte("s")})
	l.must(err)
	l.must(l.RemoveWebhook(ctx, hook))
	l.must(l.Pause(ctx, "h1", "li (key 7)", "night"))
	l.must(l.Record(ctx, "h1", id, "li (key 7)", "unmask", "the patient calls\x00"))
	_, err = l.Cancel(ctx, id, "li (key 7)", "left")
	l.must(err)
	all, err := l.AuditEntries(l.ctx, AuditFilter{}, int(l.head().Number-before))
	l.must(err)
	slices.Reverse(all)
	var got []string
	for _, e := range all {
		if e.Actor != "li (key 7)" || e.Role != "operator" || e.Request != "RQ1" {
			t.Errorf("from where: %+v", e)
		}
		got = append(got, strings.Join([]string{e.Verb, e.Hospital, e.Subject, e.Purpose, e.Data}, "|"))
	}
	m := fmt.Sprint("message ", id)
	if diff := cmp.Diff([]string{"retry|h1|" + m + "||", `make key||key 1||{"hospitals":null,"name":"clinic","role":"submitter"}`, "revoke key||key 1||",
		`add webhook||webhook 1||{"hospitals":null,"types":null}`, "remove webhook||webhook 1||", "pause|h1||night|", "unmask|h1|" + m + "|the patient calls|",
		"cancel|h1|" + m + "|left|"}, got); diff != "" {
		t.Error(diff)
	}
	if faults := l.verify(); faults != nil {
		t.Errorf("%s", faults)
	}
	for _, c := range []struct {
		f    AuditFilter
		want int
	}{{AuditFilter{Verb: "pause"}, 1}, {AuditFilter{Subject: m}, 3}, {AuditFilter{Hospitals: []string{"h1"}, Actor: "li (key 7)"}, 4}, {AuditFilter{Hospitals: []string{}}, 0}, {AuditFilter{Before: 2}, 1}} {
		if got, err := l.AuditEntries(l.ctx, c.f, 100); err != nil || len(got) != c.want {
			t.Errorf("%+v: %d %v, want %d", c.f, len(got), err, c.want)
		}
	}
	if _, err := ParseDigest("abc"); err == nil {
		t.Error("read half a digest")
	}
}

// What is done about a replay, an incident or a revision is found by its name.
func TestActsAreFoundByWhatTheyAreAbout(t *testing.T) {
	l := newLedger(t)
	l.parked("A1", "L1", core.Rejected, false)
	r := l.create(replay.Plan{Filter: replay.Filter{State: delivery.Parked}, Rate: 5, Concurrency: 5, StopAfter: 5, Note: "mended"})
	_, err := l.PauseReplay(l.ctx, r.ID, "li", "a look")
	l.must(err)
	breaker := l.troubled("h1", incident.Breaker, "r")
	_, err = l.LookAtIncident(l.ctx, nil, breaker, "li", "their network")
	l.must(err)
	_, err = l.Restore(l.ctx, "h1", "h1", 1, "li", "nothing new")
	l.must(err)
	for subject, want := range map[string]string{
		fmt.Sprint("replay ", r.ID): "pause replay by li at h1, replay by ops at h1", fmt.Sprint("incident ", breaker): "look at incident by li at h1", "revision 1": "apply by tester at h1",
		"replay 99": "",
	} {
		all, err := l.AuditEntries(l.ctx, AuditFilter{Hospitals: []string{"h1"}, Subject: subject}, 100)
		l.must(err)
		var got []string
		for _, e := range all {
			got = append(got, e.Verb+" by "+e.Actor+" at "+e.Hospital)
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("about %s: %s, want %s", subject, s, want)
		}
	}
	if acts, err := l.HospitalDecisions(l.ctx, "h1", 100); err != nil || len(acts) < 4 {
		t.Errorf("the hospital's trail has %d of them: %v", len(acts), err)
	}
}
