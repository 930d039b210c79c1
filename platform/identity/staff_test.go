package identity

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"hishub/core"
	"hishub/platform/clinic"
)

func TestStaffSignIn(t *testing.T) {
	w := newWorld(t)
	m := w.staff("Li", clinic.Grant{Role: clinic.Doctor, Hospital: "h1", Code: "D1"})
	if p := m.Person; !p.May(clinic.Prescribe, "h1") || p.May(clinic.Prescribe, "h2") || p.Name != "测试Li" || m.Kind != StaffAccount || len(m.Recovery) != recoveryCodes {
		t.Errorf("%+v", m)
	}
	ticket, enrol, err := w.ByPassword(w.ctx, "LI", password, "", "192.0.2.2")
	ok(t, err)
	if enrol {
		t.Error("told to enrol again")
	}
	_, err = w.Person(w.ctx, ticket) // half a sign-in is none
	is(t, err, clinic.ErrSignedOut)
	_, err = w.Enrol(w.ctx, ticket)
	is(t, err, clinic.ErrState)
	_, err = w.Confirm(w.ctx, ticket, "123456", visitor)
	is(t, err, clinic.ErrState)
	code := w.totp(m.secret)
	_, err = w.SecondFactor(w.ctx, ticket, code, "", visitor)
	ok(t, err)
	_, err = w.SecondFactor(w.ctx, ticket, w.totp(m.secret), "", visitor)
	is(t, err, ErrRefused) // the ticket is spent
	for _, secret := range []string{password, m.secret, m.Recovery[0], ticket, code} {
		if strings.Contains(w.acts.everything(), secret) || w.memory.holds(secret) {
			t.Error("a secret was written down")
		}
	}
	ticket, _, err = w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
	ok(t, err)
	w.wait(pendingLasts)
	_, err = w.SecondFactor(w.ctx, ticket, w.totp(m.secret), "", visitor)
	is(t, err, ErrRefused) // too late
}

func TestACodeOfTheSecondFactorWorksOnce(t *testing.T) {
	w := newWorld(t)
	m := w.staff("li")
	tickets := make([]string, 8)
	for i := range tickets {
		var err error
		tickets[i], _, err = w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
		ok(t, err)
	}
	code := w.totp(m.secret)
	var in atomic.Int32
	var all sync.WaitGroup
	for _, ticket := range tickets[:4] { // at once, below the tries that make one wait
		all.Go(func() {
			_, err := w.SecondFactor(w.ctx, ticket, code, "", visitor)
			if err == nil {
				in.Add(1)
			} else if !errors.Is(err, ErrRefused) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Errorf("a code was good for %d sign-ins", in.Load())
	}
	_, err := w.SecondFactor(w.ctx, tickets[5], code, "", visitor)
	is(t, err, ErrRefused) // replayed
	// Two who have both looked before one of them spends it.
	code = w.totp(m.secret)
	one, err := w.pendingOf(w.ctx, tickets[5])
	ok(t, err)
	two, err := w.pendingOf(w.ctx, tickets[6])
	ok(t, err)
	ok(t, w.prove(w.ctx, one, code, ""))
	is(t, w.prove(w.ctx, two, code, ""), ErrRefused)
	// The app's clock is half a minute ahead; then a code from before the last is no
	// good, although there is grace.
	w.wait(time.Minute)
	now := w.totp(m.secret)
	w.wait(30 * time.Second)
	ahead, err := totp.GenerateCode(m.secret, w.time())
	ok(t, err)
	w.wait(-30 * time.Second)
	_, err = w.SecondFactor(w.ctx, tickets[6], ahead, "", visitor)
	ok(t, err)
	_, err = w.SecondFactor(w.ctx, tickets[7], now, "", visitor)
	is(t, err, ErrRefused)
}

func TestRecoveryCodesWorkOnceEach(t *testing.T) {
	w := newWorld(t)
	m := w.staff("li")
	in := func(recovery string) error {
		ticket, _, err := w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
		ok(t, err)
		_, err = w.SecondFactor(w.ctx, ticket, "", recovery, visitor)
		return err
	}
	ok(t, in(" "+strings.ToUpper(m.Recovery[3])))
	is(t, in(m.Recovery[3]), ErrRefused)
	is(t, in("aaaaa-bbbbb-ccccc"), ErrRefused)
	ok(t, in(m.Recovery[4]))
	up, err := w.StepUp(w.ctx, m.Person, w.totp(m.secret), "")
	ok(t, err)
	codes, err := w.NewRecovery(w.ctx, w.person(up.Token))
	ok(t, err)
	is(t, in(m.Recovery[5]), ErrRefused)
	ok(t, in(codes[0]))
	w.wait(provedWithin + time.Minute)
	_, err = w.NewRecovery(w.ctx, w.person(up.Token))
	is(t, err, clinic.ErrRule)
}

func TestInvitationsAndPasswords(t *testing.T) {
	w := newWorld(t)
	_, code, err := w.Invite(w.ctx, clinic.Person{}, "wang", "王医生", false)
	ok(t, err)
	var wrong core.Problems
	for _, bad := range []string{"", "eleven sign", "password1234", "Qwerty123456", "aaaaaaaaaaaaaaa", "my name is WANG, you know", strings.Repeat("long", 40)} {
		err := w.Accept(w.ctx, code, bad, "192.0.2.2")
		if !errors.As(err, &wrong) || wrong[0].Field != "password" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	ok(t, w.Accept(w.ctx, code, "twelve signs", "192.0.2.2"))
	is(t, w.Accept(w.ctx, code, password, "192.0.2.2"), ErrRefused) // spent
	account, code, err := w.Invite(w.ctx, clinic.Person{}, "wang", "", true)
	ok(t, err)
	_, _, err = w.ByPassword(w.ctx, "wang", "twelve signs", "", "192.0.2.2")
	is(t, err, ErrRefused) // reset
	w.wait(invitationLasts)
	is(t, w.Accept(w.ctx, code, password, "192.0.2.2"), ErrRefused) // over
	_, code, err = w.Invite(w.ctx, clinic.Person{}, "wang", "", false)
	ok(t, err)
	_, newer, err := w.Invite(w.ctx, clinic.Person{}, "wang", "", false)
	ok(t, err)
	is(t, w.Accept(w.ctx, code, password, "192.0.2.2"), ErrRefused) // there is a newer one
	ok(t, w.Accept(w.ctx, newer, password, "192.0.2.2"))
	_, _, err = w.Invite(w.ctx, clinic.Person{}, "wang", "", false)
	is(t, err, clinic.ErrState)
	for _, bad := range []string{"", "w", "9wang", "wang li", "王医生"} {
		if _, _, err := w.Invite(w.ctx, clinic.Person{}, bad, "x", false); !errors.As(err, &wrong) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var stored string
	ok(t, w.Database.QueryRow(w.ctx, `select password from identity.account where id = $1`, account).Scan(&stored))
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("kept as %.30s", stored)
	}
}

func TestChangePassword(t *testing.T) {
	w := newWorld(t)
	m := w.staff("li")
	_, err := w.ChangePassword(w.ctx, m.Person, "not the password", "another horse 10 battery")
	var wrong core.Problems
	if !errors.As(err, &wrong) || wrong[0].Field != "old" {
		t.Error(err)
	}
	o, err := w.ChangePassword(w.ctx, m.Person, password, "another horse 10 battery")
	ok(t, err)
	_, err = w.Person(w.ctx, m.Token)
	is(t, err, clinic.ErrSignedOut)
	w.person(o.Token)
	_, _, err = w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
	is(t, err, ErrRefused)
	_, _, err = w.ByPassword(w.ctx, "li", "another horse 10 battery", "", "192.0.2.2")
	ok(t, err)
}

// From the fifth wrong try on one waits, longer each time, whatever one tries then; and
// a name that nobody has is treated like the others.
func TestLockOut(t *testing.T) {
	w := newWorld(t)
	w.staff("li")
	for _, name := range []string{"li", "nobody-has-it"} {
		try := func(password string) error {
			_, _, err := w.ByPassword(w.ctx, name, password, "", "192.0.2.2")
			return err
		}
		for range ofOne.free {
			is(t, try("wrong password"), ErrRefused)
		}
		for _, want := range []time.Duration{ofOne.first, 2 * ofOne.first, 4 * ofOne.first} {
			many := tooMany(t, try(password))
			if many.After != want {
				t.Errorf("%s: the wait is %v, want %v", name, many.After, want)
			}
			w.wait(want - time.Second)
			tooMany(t, try(password))
			w.wait(time.Second)
			is(t, try("wrong password"), ErrRefused)
		}
		for range 20 {
			w.wait(ofOne.longest)
			is(t, try("wrong password"), ErrRefused)
		}
		if many := tooMany(t, try(password)); many.After != ofOne.longest {
			t.Errorf("%s: the wait is %v in the end", name, many.After)
		}
		w.wait(ofOne.longest)
		if err := try(password); name == "li" {
			ok(t, err)
		}
	}
	// A day of peace, and all is forgotten.
	w.wait(25 * time.Hour)
	ok(t, w.Tidy(w.ctx))
	var rows int
	ok(t, w.Database.QueryRow(w.ctx, `select count(*) from identity.attempt`).Scan(&rows))
	if rows != 0 {
		t.Errorf("%d tries are remembered", rows)
	}
}

// Brute force side by side compares no more passwords than one after the other.
func TestManyPasswordsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.staff("li")
	var compared atomic.Int32
	w.compare = func(string, string) (bool, error) { compared.Add(1); return false, nil }
	var all sync.WaitGroup
	for range 60 {
		all.Go(func() { _, _, _ = w.ByPassword(w.ctx, "li", "guess", "", "192.0.2.2") })
	}
	all.Wait()
	if n := compared.Load(); int(n) != ofOne.free {
		t.Errorf("%d were compared, want %d", n, ofOne.free)
	}
}

// Whatever is wrong with a sign-in costs one comparison of the same kind and is
// answered in the same words: time tells nothing.
func TestTimeTellsNothing(t *testing.T) {
	w := newWorld(t)
	m := w.staff("li")
	gone := w.staff("zhao")
	ok(t, w.Disable(w.ctx, clinic.Person{}, gone.Account(), "left"))
	_, _, err := w.Invite(w.ctx, clinic.Person{}, "fresh", "新人", false)
	ok(t, err)
	_ = m
	var hashes []string
	w.compare = func(password, hash string) (bool, error) {
		hashes = append(hashes, hash)
		return compareHash(password, hash)
	}
	for _, c := range [][2]string{{"li", "wrong password"}, {"nobody", password}, {"fresh", password}, {"zhao", password}} {
		hashes = nil
		_, _, err := w.ByPassword(w.ctx, c[0], c[1], "", "192.0.2.2")
		if err == nil || err.Error() != ErrRefused.Error() {
			t.Errorf("%s: %v", c[0], err)
		}
		if len(hashes) != 1 || !strings.HasPrefix(hashes[0], "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("%s: compared with %d hashes", c[0], len(hashes))
		}
	}
	if right, err := compareHash("", nobodysHash); right || err != nil {
		t.Errorf("nobody's hash: %v, %v", right, err)
	}
}

// Account of a member, as the embedded Person and Opened both have one.
func (m *member) Account() int64 { return m.Opened.Account }

func TestTheSecondFactorIsGuessedFiveTimes(t *testing.T) {
	w := newWorld(t)
	m := w.staff("li")
	ticket, _, err := w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
	ok(t, err)
	right := w.totp(m.secret)
	wrong := string('0'+(right[0]-'0'+1)%10) + right[1:]
	for range ofOne.free {
		_, err := w.SecondFactor(w.ctx, ticket, wrong, "", visitor)
		is(t, err, ErrRefused)
	}
	_, err = w.SecondFactor(w.ctx, ticket, right, "", visitor)
	tooMany(t, err)
	_, err = w.SecondFactor(w.ctx, ticket, "", m.Recovery[0], visitor)
	tooMany(t, err)
}
