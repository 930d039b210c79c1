package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
)

// A code of a HIS is one person's in a role there, also while it is only proposed, and
// whoever asks for it at the same time.
func TestACodeHasOneHolder(t *testing.T) {
	w := newWorld(t)
	head := w.staff("head", clinic.Grant{Role: clinic.HospitalAdmin, Hospital: "h1"})
	li := w.staff("li", clinic.Grant{Role: clinic.Doctor, Hospital: "h1", Code: "0007"})
	zhao := w.staff("zhao")
	taken := func(err error) {
		t.Helper()
		var wrong core.Problems
		if !errors.As(err, &wrong) || wrong[0].Field != "code" || !strings.Contains(wrong[0].What, fmt.Sprintf("account %d has it", li.Account())) {
			t.Errorf("got %v", err)
		}
	}
	doctor := func(code string) clinic.Grant { return clinic.Grant{Role: clinic.Doctor, Hospital: "h1", Code: code} }
	_, err := w.Grant(w.ctx, head.Person, zhao.Account(), doctor(" 0007 "), "")
	taken(err)
	_, err = w.GrantAtDatabase(w.ctx, zhao.Account(), doctor("0007"), "")
	taken(err)
	_, err = w.inviteWith(w.ctx, head.Person, "fresh", "新人", doctor("0007"), "")
	taken(err)
	if _, err := w.Named(w.ctx, "fresh"); !errors.Is(err, clinic.ErrNotFound) {
		t.Error("somebody was invited whose role cannot be given")
	}
	// As a pharmacist, or elsewhere, it is another code.
	for _, g := range []clinic.Grant{{Role: clinic.Pharmacist, Hospital: "h1", Code: "0007"}, {Role: clinic.Doctor, Hospital: "h2", Code: "0007"}} {
		_, err := w.GrantAtDatabase(w.ctx, zhao.Account(), g, "")
		ok(t, err)
	}
	// The database itself lets nobody by.
	_, err = w.Database.Exec(w.ctx, `insert into identity.role_grant (account, role, hospital, code, state, proposed_by) values ($1, 'doctor', 'h1', '0007', 'proposed', 0)`, zhao.Account())
	if !clinic.Duplicate(err) {
		t.Errorf("got %v", err)
	}
	g, err := w.Grants(w.ctx, "h1", false)
	ok(t, err)
	for _, g := range g {
		if g.Account == li.Account() {
			_, err := w.Revoke(w.ctx, head.Person, g.ID, "left")
			ok(t, err)
		}
	}
	var given atomic.Int32
	var all sync.WaitGroup
	for i := range 6 {
		other := w.staff(fmt.Sprintf("doctor%d", i))
		all.Go(func() {
			if _, err := w.GrantAtDatabase(w.ctx, other.Account(), doctor("0007"), ""); err == nil {
				given.Add(1)
			} else if !errors.As(err, new(core.Problems)) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if given.Load() != 1 {
		t.Errorf("the code was given %d times", given.Load())
	}
}

// An installation where two have one code starts: who had it first keeps it.
func TestTwoHoldersFromBefore(t *testing.T) {
	w := newWorld(t)
	var accounts []int64
	for _, name := range []string{"li", "zhao"} {
		accounts = append(accounts, w.staff(name).Account())
	}
	db, err := pgxpool.New(w.ctx, servers.Postgres(t))
	ok(t, err)
	t.Cleanup(db.Close)
	for _, file := range []string{"schema_1.sql", "schema_2.sql"} {
		sql, err := schema.ReadFile(file)
		ok(t, err)
		_, err = db.Exec(w.ctx, string(sql))
		ok(t, err)
	}
	for _, id := range accounts {
		_, err := db.Exec(w.ctx, `insert into identity.account (id, kind, name) values ($1, 'staff', $2)`, id, fmt.Sprint(id))
		ok(t, err)
		_, err = db.Exec(w.ctx, `insert into identity.role_grant (account, role, hospital, code, state, proposed_by) values ($1, 'doctor', 'h1', '0007', 'active', 0)`, id)
		ok(t, err)
	}
	sql, err := schema.ReadFile("schema_3.sql")
	ok(t, err)
	_, err = db.Exec(w.ctx, string(sql))
	ok(t, err)
	rows, err := db.Query(w.ctx, `select account from identity.role_grant where state = 'active'`)
	ok(t, err)
	if left, err := pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil || len(left) != 1 || left[0] != accounts[0] {
		t.Errorf("the code is left with %v, %v", left, err)
	}
}

// A half-open sign-in is over once the password is another, or all sessions were ended.
func TestAHalfOpenSignInEndsWithTheOthers(t *testing.T) {
	w := newWorld(t)
	m := w.staff("li")
	for what, end := range map[string]func() error{
		"signed out everywhere": func() error { return w.EndAll(w.ctx, clinic.Person{}, m.Account(), "") },
		"disabled": func() error {
			if err := w.Disable(w.ctx, clinic.Person{}, m.Account(), ""); err != nil {
				return err
			}
			return w.Enable(w.ctx, clinic.Person{}, m.Account(), "")
		},
	} {
		ticket, _, err := w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
		ok(t, err)
		ok(t, end())
		if _, err := w.SecondFactor(w.ctx, ticket, w.totp(m.secret), "", visitor); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Nor does it set up a second factor after that was taken away with the password.
	ticket, _, err := w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
	ok(t, err)
	_, _, err = w.Invite(w.ctx, clinic.Person{}, "li", "", true)
	ok(t, err)
	_, err = w.Enrol(w.ctx, ticket)
	is(t, err, ErrRefused)
}

// WeChat is another way to sign in: who took a session cannot bind his own.
func TestBindingAWeChatTakesAStepUp(t *testing.T) {
	w := newWorld(t)
	o := w.phoneSignIn(phone)
	w.wait(provedWithin + time.Minute)
	is(t, w.BindWeChat(w.ctx, w.person(o.Token), "test-zhang", "192.0.2.1"), clinic.ErrRule)
	ok(t, w.SendProof(w.ctx, w.person(o.Token), "192.0.2.1"))
	up, err := w.StepUp(w.ctx, w.person(o.Token), w.sent.code(phone), "192.0.2.1")
	ok(t, err)
	ok(t, w.BindWeChat(w.ctx, w.person(up.Token), "test-zhang", "192.0.2.1"))
}

// Strangers who know a name and try from everywhere only slow its owner by a minute, and
// a device of his not at all.
func TestStrangersDoNotKeepStaffOut(t *testing.T) {
	w := newWorld(t)
	w.Limits.AddressTries = 1_000_000
	m := w.staff("li")
	w.compare = func(password, hash string) (bool, error) { return password == "right", nil }
	by := func(name, password, known, address string) error {
		_, _, err := w.ByPassword(w.ctx, name, password, known, address)
		return err
	}
	refused := 0
	for i := range 60 { // each from an address of its own
		err := by("li", "wrong password", "", fmt.Sprint("198.51.100.", i))
		if errors.Is(err, ErrRefused) {
			refused++
		} else if many := tooMany(t, err); many.After > ofAll.longest {
			t.Fatalf("a wait of %v", many.After)
		}
	}
	if refused != ofAll.free {
		t.Errorf("%d were compared at once, want %d", refused, ofAll.free)
	}
	tooMany(t, by("li", "right", "", "192.0.2.9")) // slowed
	ok(t, by("li", "right", m.Known, "192.0.2.9")) // and not on his own device
	for i := range 200 {
		w.wait(time.Second)
		_ = by("li", "wrong password", "", fmt.Sprint("203.0.113.", i))
	}
	w.wait(ofAll.longest)
	ok(t, by("li", "right", "", "192.0.2.9")) // a minute without them, and he is in elsewhere, too
	// Being slowed does not count against the address that is.
	for range ofAll.free {
		is(t, by("zhao", "wrong password", "", fmt.Sprint("198.51.100.", w.time().Nanosecond())), ErrRefused)
		w.wait(time.Nanosecond)
	}
	w.wait(ofAll.first)
	is(t, by("zhao", "wrong password", "", "192.0.2.9"), ErrRefused)
	for range 50 {
		tooMany(t, by("zhao", "wrong password", "", "192.0.2.9"))
	}
	w.wait(ofAll.longest)
	is(t, by("zhao", "wrong password", "", "192.0.2.9"), ErrRefused)

	// A device is bounded itself, and is known for nobody else, nor for ever, nor forged.
	for range ofOne.free {
		is(t, by("li", "wrong password", m.Known, "192.0.2.9"), ErrRefused)
	}
	tooMany(t, by("li", "right", m.Known, "192.0.2.10"))
	if w.device("name li", m.Known) == "" || w.device("name zhao", m.Known) != "" || w.device("phone li", m.Known) != "" {
		t.Error("a device is known for somebody else")
	}
	for _, forged := range []string{"", "cd_", m.Known[:len(m.Known)-2], m.Known + "AA", "cd_" + strings.Repeat("A", 75), strings.Replace(m.Known, m.Known[5:7], "zz", 1)} {
		if w.device("name li", forged) != "" {
			t.Errorf("%q is a known device", forged)
		}
	}
	w.wait(deviceLasts)
	if w.device("name li", m.Known) != "" {
		t.Error("a device is known for ever")
	}
	_, err := w.Person(w.ctx, m.Known)
	is(t, err, clinic.ErrSignedOut)
}

// Strangers who know a phone can neither use up its owner's codes, nor replace one that
// he has, nor spoil it by guessing.
func TestStrangersDoNotUseUpAPhone(t *testing.T) {
	w := newWorld(t)
	o := w.phoneSignIn(phone)
	p := w.person(o.Token)
	w.wait(25 * time.Hour)
	sent := 0
	for i := range 40 {
		w.wait(time.Minute)
		if w.SendCode(w.ctx, phone, "", fmt.Sprint("198.51.100.", i)) == nil {
			sent++
		}
	}
	if sent != w.Limits.CodesPerHour {
		t.Errorf("strangers had %d codes sent within an hour", sent)
	}
	by := func(code, known, address string) error {
		_, err := w.ByPhone(w.ctx, phone, code, "", Visitor{Address: address, Device: Device{Channel: "h5"}, Known: known})
		return err
	}
	tooMany(t, w.SendCode(w.ctx, phone, "", "192.0.2.1"))
	ok(t, w.SendCode(w.ctx, phone, o.Known, "192.0.2.7")) // the owner's device, wherever it is
	code := w.sent.code(phone)
	for i := range 2 * allTriesOfCode {
		is(t, by("abcdef", "", fmt.Sprint("198.51.100.", i)), ErrRefused)
	}
	is(t, by(code, "", "192.0.2.1"), ErrRefused) // it was sent to that device
	ok(t, by(code, o.Known, "192.0.2.7"))
	ok(t, w.SendProof(w.ctx, p, "192.0.2.1")) // nor is who is signed in kept from a step-up
	_, err := w.StepUp(w.ctx, p, w.sent.code(phone), "192.0.2.1")
	ok(t, err)

	// One address alone leaves something to the others, and a guesser tries to them.
	const other = "13800000002"
	sent = 0
	for range 5 {
		w.wait(time.Minute)
		if w.SendCode(w.ctx, other, "", "198.51.100.1") == nil {
			sent++
		}
	}
	if sent != 3 {
		t.Errorf("one address had %d codes sent within an hour", sent)
	}
	ok(t, w.SendCode(w.ctx, other, "", "192.0.2.1"))
	code = w.sent.code(other)
	for range 2 * allTriesOfCode {
		_, err := w.ByPhone(w.ctx, other, "abcdef", "", Visitor{Address: "198.51.100.1"})
		is(t, err, ErrRefused)
	}
	_, err = w.ByPhone(w.ctx, other, code, "", visitor)
	ok(t, err)
	// All of them together have fifteen.
	w.wait(time.Minute)
	ok(t, w.SendCode(w.ctx, other, "", "192.0.2.1"))
	for i := range allTriesOfCode {
		_, err := w.ByPhone(w.ctx, other, "abcdef", "", Visitor{Address: fmt.Sprint("198.51.100.", i)})
		is(t, err, ErrRefused)
	}
	_, err = w.ByPhone(w.ctx, other, w.sent.code(other), "", visitor)
	is(t, err, ErrRefused)
}

// The register of all people is not searched through us: an account asks five times a
// day, whichever module does so for it, and an address is wrong twenty times.
func TestTheRegisterIsAskedWithinBounds(t *testing.T) {
	w := newWorld(t)
	asked := 0
	var err error
	names := w.Bounded(registers(func() error { asked++; return err }))
	for range namesADay {
		ok(t, names.Verify(w.ctx, 1, "192.0.2.1", "张三", "1"))
	}
	tooMany(t, names.Verify(w.ctx, 1, "192.0.2.2", "张三", "1"))
	ok(t, names.Verify(w.ctx, 2, "192.0.2.1", "张三", "1"))
	w.wait(25 * time.Hour)
	ok(t, names.Verify(w.ctx, 1, "192.0.2.1", "张三", "1"))
	asked, err = 0, ErrMismatch
	refused := 0
	for account := range int64(40) {
		if got := names.Verify(w.ctx, 100+account, "192.0.2.9", "张三", "1"); errors.Is(got, ErrMismatch) {
			refused++
		} else {
			tooMany(t, got)
		}
		err = nil // one that is right takes none of the wrong ones back
		_ = names.Verify(w.ctx, 200+account, "192.0.2.9", "张三", "1")
		err = ErrMismatch
	}
	if refused != mismatchesADay || asked != 2*mismatchesADay-1 {
		t.Errorf("asked %d times, %d wrong", asked, refused)
	}
	err = errors.New("away")
	is(t, names.Verify(w.ctx, 99, "192.0.2.3", "张三", "1"), clinic.ErrNoService)
	if strings.Contains(w.acts.everything(), "张三") {
		t.Error("a name was written down")
	}
}

type registers func() error

func (r registers) Verify(context.Context, string, string) error { return r() }
