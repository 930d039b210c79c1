package identity

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hishub/core"
	"hishub/platform/clinic"
)

const phone = "13800000001"

var visitor = Visitor{Address: "192.0.2.1", Device: Device{Channel: "h5"}}

func TestAPatientSignsInByPhone(t *testing.T) {
	w := newWorld(t)
	first, again := w.phoneSignIn(phone), w.phoneSignIn("+86 138 0000 0001")
	if first.Account != again.Account || first.Token == again.Token || first.Kind != PatientAccount {
		t.Errorf("two sign-ins of one phone: %d and %d", first.Account, again.Account)
	}
	p := w.person(first.Token)
	if !p.May(clinic.OwnRecords, "any") || p.May(clinic.Treat, "") || p.Name != "138****0001" {
		t.Errorf("%+v", p)
	}
	if a, err := w.Account(w.ctx, p.Account); err != nil || a.Phone != "138****0001" {
		t.Errorf("%+v, %v", a, err)
	}
	if w.acts.count("make account") != 1 || w.acts.count("sign in") != 2 {
		t.Error("making the account once and signing in twice is not what the audit has")
	}
	for _, secret := range []string{phone, w.sent.code(phone), first.Token} {
		if strings.Contains(w.acts.everything(), secret) || w.memory.holds(secret) {
			t.Error("a phone, a code or a token was written down")
		}
	}
	var clear int
	ok(t, w.Database.QueryRow(w.ctx, `select count(*) from identity.account where position($1::bytea in phone) > 0`, phone).Scan(&clear))
	if clear != 0 {
		t.Error("the phone is in the database in clear")
	}
}

func TestACodeHolds(t *testing.T) {
	w := newWorld(t)
	by := func(code string) error {
		_, err := w.ByPhone(w.ctx, phone, code, "", visitor)
		return err
	}
	sent := 0
	send := func() string {
		w.wait(time.Minute)
		sent++
		ok(t, w.SendCode(w.ctx, phone, "", fmt.Sprint("192.0.2.", sent%3)))
		return w.sent.code(phone)
	}
	other := func(code string) string { return fmt.Sprintf("%c%s", '0'+(code[0]-'0'+1)%10, code[1:]) }

	is(t, by("000000"), ErrRefused) // none was sent
	code := send()
	w.wait(codeLasts)
	is(t, by(code), ErrRefused) // over
	code = send()
	ok(t, by(code))
	is(t, by(code), ErrRefused) // spent
	old := send()
	code = send()
	if old != code {
		is(t, by(old), ErrRefused) // there is a newer one
	}
	_, err := w.ByPhone(w.ctx, "13800000002", code, "", visitor)
	is(t, err, ErrRefused) // of another phone

	// Five tries, then the right one does not help either.
	code = send()
	for range triesOfCode {
		is(t, by(other(code)), ErrRefused)
	}
	is(t, by(code), ErrRefused)

	// A code for one use is none for another.
	w.wait(time.Hour)
	p := w.phoneSignIn(phone)
	w.wait(time.Minute)
	ok(t, w.SendProof(w.ctx, w.person(p.Token), "192.0.2.1"))
	is(t, by(w.sent.code(phone)), ErrRefused)
}

func TestACodeIsSpentOnceHoweverManyTry(t *testing.T) {
	w := newWorld(t)
	w.phoneSignIn(phone)
	w.wait(time.Minute)
	ok(t, w.SendCode(w.ctx, phone, "", "192.0.2.1"))
	code := w.sent.code(phone)
	// All of them have read the code before one of them spends it.
	var in, refused atomic.Int32
	var all, together sync.WaitGroup
	together.Add(triesOfCode)
	w.memory.read = func(key string) {
		if strings.HasPrefix(key, "code:") {
			together.Done()
			together.Wait()
		}
	}
	for range triesOfCode {
		all.Go(func() {
			switch _, err := w.ByPhone(w.ctx, phone, code, "", visitor); {
			case err == nil:
				in.Add(1)
			case errors.Is(err, ErrRefused):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 || refused.Load() != triesOfCode-1 {
		t.Errorf("%d in, %d refused", in.Load(), refused.Load())
	}
}

// Brute force: side by side, no more than five codes are ever compared.
func TestManyGuessesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.Limits.AddressTries = 1_000_000
	ok(t, w.SendCode(w.ctx, phone, "", "192.0.2.1"))
	code := w.sent.code(phone)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			guess := fmt.Sprintf("%06d", i)
			if guess == code {
				guess = "999999"
			}
			if _, err := w.ByPhone(w.ctx, phone, guess, "", visitor); !errors.Is(err, ErrRefused) {
				t.Errorf("a guess: %v", err)
			}
		})
	}
	all.Wait()
	_, err := w.ByPhone(w.ctx, phone, code, "", visitor)
	is(t, err, ErrRefused)
}

func TestCodesAreBounded(t *testing.T) {
	w := newWorld(t)
	send := func(phone, address string) error { return w.SendCode(w.ctx, phone, "", address) }
	ok(t, send(phone, "192.0.2.1"))
	tooMany(t, send(phone, "192.0.2.1"))
	tooMany(t, send(phone, "192.0.2.9")) // the phone's minute, wherever one is
	ok(t, send("13800000002", "192.0.2.1"))
	for range 2 {
		w.wait(time.Minute)
		ok(t, send(phone, "192.0.2.1"))
	}
	w.wait(time.Minute)
	tooMany(t, send(phone, "192.0.2.1")) // three in an hour from one address
	for range 2 {
		ok(t, send(phone, "192.0.2.3"))
		w.wait(time.Minute)
	}
	tooMany(t, send(phone, "192.0.2.4")) // five in an hour
	w.wait(time.Hour)
	ok(t, send(phone, "192.0.2.1"))
	w.Limits.AddressCodes = 3
	n := 0
	for i := range 10 {
		if send(fmt.Sprintf("1390000%04d", i), "192.0.2.7") == nil {
			n++
		}
	}
	if n != 3 {
		t.Errorf("an address had %d codes sent, want 3", n)
	}
	w.Limits.AddressTries = 3
	n = 0
	for range 10 {
		if _, err := w.ByPhone(w.ctx, phone, "000000", "", Visitor{Address: "192.0.2.8"}); errors.Is(err, ErrRefused) {
			n++
		}
	}
	if n != 3 {
		t.Errorf("an address had %d tries, want 3", n)
	}
	var wrong core.Problems
	for _, none := range []string{"", "12345", "23800000001", "138000000011", "1380000000x"} {
		if err := send(none, "192.0.2.1"); !errors.As(err, &wrong) || strings.Contains(err.Error(), none) && none != "" {
			t.Errorf("%v", err)
		}
	}
}

// Known and unknown phones are answered and counted alike.
func TestKnownAndUnknownPhonesAlike(t *testing.T) {
	w := newWorld(t)
	w.phoneSignIn(phone)
	w.wait(time.Minute)
	for _, p := range []string{phone, "13900000009"} {
		ok(t, w.SendCode(w.ctx, p, "", "192.0.2.1"))
		if w.sent.code(p) == "" {
			t.Error("no code was sent to one of them")
		}
		tooMany(t, w.SendCode(w.ctx, p, "", "192.0.2.1"))
		_, err := w.ByPhone(w.ctx, p, "abcdef", "", visitor)
		is(t, err, ErrRefused)
	}
}

func TestCodesThatCannotBeSent(t *testing.T) {
	w := newWorld(t)
	w.sent.err = errors.New("gateway away")
	is(t, w.SendCode(w.ctx, phone, "", "192.0.2.1"), ErrCannotSend)
	w.sent.err = nil
	ok(t, w.SendCode(w.ctx, phone, "", "192.0.2.1")) // not "less than a minute ago"
	w.Sender = nil
	is(t, w.SendCode(w.ctx, "13800000002", "", "192.0.2.1"), ErrCannotSend)
	if text := w.acts.everything(); strings.Contains(text, phone) || sixDigits.MatchString(strings.ReplaceAll(text, "2026", "")) && strings.Contains(text, w.sent.code(phone)) {
		t.Error("the log names the phone or the code")
	}
}

func TestWeChat(t *testing.T) {
	w := newWorld(t)
	_, bind, err := w.ByWeChat(w.ctx, "test-zhang", visitor)
	ok(t, err)
	if bind == "" {
		t.Fatal("an unknown WeChat is signed in")
	}
	if w.memory.holds("stand-in-zhang") {
		t.Error("a WeChat's id is in memory in clear")
	}
	w.wait(time.Minute)
	ok(t, w.SendCode(w.ctx, phone, "", "192.0.2.1"))
	o, err := w.ByPhone(w.ctx, phone, w.sent.code(phone), bind, visitor)
	ok(t, err)
	by, bind2, err := w.ByWeChat(w.ctx, "test-zhang", visitor)
	ok(t, err)
	if bind2 != "" || by.Account != o.Account {
		t.Errorf("bound to %d, signed in as %d", o.Account, by.Account)
	}
	// A ticket binds once; a WeChat has one account.
	other := w.phoneSignIn("13800000002")
	is(t, w.bindTicket(w.ctx, record{Account: Account{ID: other.Account}}, bind), ErrRefused)
	is(t, w.BindWeChat(w.ctx, w.person(other.Token), "test-zhang", "192.0.2.1"), clinic.ErrState)
	ok(t, w.UnbindWeChat(w.ctx, w.person(o.Token)))
	is(t, w.UnbindWeChat(w.ctx, w.person(o.Token)), clinic.ErrNotFound)
	ok(t, w.BindWeChat(w.ctx, w.person(other.Token), "test-zhang", "192.0.2.1"))
	_, _, err = w.ByWeChat(w.ctx, "forged", visitor)
	is(t, err, ErrRefused)
	w.WeChat = nil
	_, _, err = w.ByWeChat(w.ctx, "test-zhang", visitor)
	is(t, err, clinic.ErrNoService)
}
