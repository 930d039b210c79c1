package identity

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hishub/platform/clinic"
)

func TestSessionsEnd(t *testing.T) {
	w := newWorld(t)
	signedOut := func(token string) {
		t.Helper()
		_, err := w.Person(w.ctx, token)
		is(t, err, clinic.ErrSignedOut)
	}
	// Idle: a patient's for 30 days, a member of staff's for 30 minutes.
	o := w.phoneSignIn(phone)
	w.wait(29 * 24 * time.Hour)
	w.person(o.Token) // used
	w.wait(29 * 24 * time.Hour)
	w.person(o.Token)
	key := sessionKey(digestOf(o.Token))
	value := w.memory.all[key].value
	w.wait(30 * 24 * time.Hour)
	signedOut(o.Token)
	ok(t, w.memory.Put(w.ctx, key, value, time.Hour)) // also where it is still kept
	signedOut(o.Token)
	m := w.staff("li", clinic.Grant{Role: clinic.Nurse, Hospital: "h1"})
	w.wait(25 * time.Minute)
	w.person(m.Token)
	w.wait(30 * time.Minute)
	signedOut(m.Token)
	// Absolute, however it is used.
	m = w.staff("zhao", clinic.Grant{Role: clinic.Nurse, Hospital: "h1"})
	for range 12*60/20 - 1 {
		w.wait(20 * time.Minute)
		w.person(m.Token)
	}
	w.wait(20 * time.Minute)
	signedOut(m.Token)
	o = w.phoneSignIn(phone)
	for range 8 {
		w.wait(20 * 24 * time.Hour)
		w.person(o.Token)
	}
	w.wait(20 * 24 * time.Hour)
	signedOut(o.Token)
	for _, none := range []string{"", "cs_", "cs_" + strings.Repeat("A", 43), o.Token + "x", "hk_1"} {
		signedOut(none)
	}
}

func TestNobodyPlantsASession(t *testing.T) {
	w := newWorld(t)
	// A token that somebody made up, or had before, is not the one after a sign-in, and
	// the session that was brought along is over.
	planted := w.phoneSignIn("13800000009")
	before := w.person(planted.Token)
	w.wait(time.Minute)
	ok(t, w.SendCode(w.ctx, phone, "", "192.0.2.1"))
	v := visitor
	v.Before = before
	o, err := w.ByPhone(w.ctx, phone, w.sent.code(phone), "", v)
	ok(t, err)
	if o.Token == planted.Token || o.Session == planted.Session {
		t.Error("the planted session goes on")
	}
	_, err = w.Person(w.ctx, planted.Token)
	is(t, err, clinic.ErrSignedOut)

	// Step-up gives another token, too; the old one is nothing.
	w.wait(time.Hour)
	is(t, w.Proved(w.ctx, w.person(o.Token)), clinic.ErrRule)
	ok(t, w.SendProof(w.ctx, w.person(o.Token), "192.0.2.1"))
	up, err := w.StepUp(w.ctx, w.person(o.Token), w.sent.code(phone), "192.0.2.1")
	ok(t, err)
	if up.Token == o.Token || up.Session != o.Session || up.Account != o.Account {
		t.Errorf("%+v after %+v", up, o)
	}
	_, err = w.Person(w.ctx, o.Token)
	is(t, err, clinic.ErrSignedOut)
	ok(t, w.Proved(w.ctx, w.person(up.Token)))
	w.wait(provedWithin + time.Second)
	is(t, w.Proved(w.ctx, w.person(up.Token)), clinic.ErrRule)
	if all, err := w.Sessions(w.ctx, up.Account, up.Session); err != nil || len(all) != 1 || !all[0].Current {
		t.Errorf("%+v, %v", all, err)
	}

	// Two step-ups at once: one of them wins, the other has nothing.
	k, err := w.current(w.ctx, w.person(up.Token))
	ok(t, err)
	_, err = w.replace(w.ctx, k, k.Generation)
	ok(t, err)
	_, err = w.replace(w.ctx, k, k.Generation)
	is(t, err, clinic.ErrSignedOut)
}

func TestDevices(t *testing.T) {
	w := newWorld(t)
	w.Limits.CodesPerHour, w.Limits.CodesPerDay = 1000, 1000
	first := w.phoneSignIn(phone)
	second := w.phoneSignIn(phone)
	all, err := w.Sessions(w.ctx, first.Account, second.Session)
	ok(t, err)
	if len(all) != 2 || all[0].ID != second.Session || !all[0].Current || all[1].Current || all[0].Address != "192.0.*.*" || all[0].Device.Channel != "h5" {
		t.Errorf("%+v", all)
	}
	stranger := w.phoneSignIn("13800000002")
	is(t, w.End(w.ctx, w.person(stranger.Token), stranger.Account, first.Session), clinic.ErrNotFound)
	ok(t, w.End(w.ctx, w.person(second.Token), first.Account, first.Session))
	_, err = w.Person(w.ctx, first.Token)
	is(t, err, clinic.ErrSignedOut)
	is(t, w.End(w.ctx, w.person(second.Token), first.Account, first.Session), clinic.ErrNotFound)

	// Everywhere, and for certain: also where Memory was not told.
	ok(t, w.EndAll(w.ctx, w.person(second.Token), second.Account, ""))
	_, err = w.Person(w.ctx, second.Token)
	is(t, err, clinic.ErrSignedOut)
	if all, _ := w.Sessions(w.ctx, second.Account, ""); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	w.person(w.phoneSignIn(phone).Token)

	// Twenty devices; the one not seen for the longest time gives way.
	var tokens []string
	for range maxDevices + 3 {
		tokens = append(tokens, w.phoneSignIn(phone).Token)
	}
	if all, err = w.Sessions(w.ctx, first.Account, ""); err != nil || len(all) != maxDevices {
		t.Errorf("%d devices, %v", len(all), err)
	}
	for i, token := range tokens {
		_, err := w.Person(w.ctx, token)
		if gone := errors.Is(err, clinic.ErrSignedOut); gone != (i < 3) {
			t.Errorf("device %d: %v", i, err)
		}
	}
}

func TestManySignInAtOnce(t *testing.T) {
	w := newWorld(t)
	first := w.phoneSignIn(phone)
	r, err := w.find(w.ctx, w.Database, "id = $1", first.Account)
	ok(t, err)
	tokens := make([]string, maxDevices-1)
	// All of them have read the list before the first writes it.
	var all, together sync.WaitGroup
	var reads atomic.Int32
	together.Add(len(tokens))
	w.memory.read = func(key string) {
		if strings.HasPrefix(key, "devices:") && int(reads.Add(1)) <= len(tokens) {
			together.Done()
			together.Wait()
		}
	}
	for i := range tokens {
		all.Go(func() {
			o, err := w.begin(w.ctx, r, visitor)
			if err != nil {
				t.Error(err)
			}
			tokens[i] = o.Token
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, token := range tokens {
		p := w.person(token)
		if p.Account != first.Account || seen[p.Session] {
			t.Errorf("%+v", p)
		}
		seen[p.Session] = true
	}
	if list, err := w.Sessions(w.ctx, first.Account, ""); err != nil || len(list) != maxDevices {
		t.Errorf("%d of %d sessions are in the list, %v", len(list), maxDevices, err)
	}
}

// The value is shared with another version of the program: what this one does not know
// stays through every rewrite, and what it lacks is no error.
func TestSessionsOfAnotherVersion(t *testing.T) {
	w := newWorld(t)
	o := w.phoneSignIn(phone)
	key := sessionKey(digestOf(o.Token))
	var fields map[string]any
	ok(t, json.Unmarshal(w.memory.all[key].value, &fields))
	fields["risk"] = map[string]any{"score": 7.5, "why": []any{"new device"}}
	fields["device"] = map[string]any{"channel": "h5", "maker": "unknown here"}
	value, err := json.Marshal(fields)
	ok(t, err)
	i := w.memory.all[key]
	i.value = value
	w.memory.all[key] = i

	w.wait(time.Hour)
	w.person(o.Token) // writes when it was seen
	check := func(key string) {
		t.Helper()
		var now map[string]any
		ok(t, json.Unmarshal(w.memory.all[key].value, &now))
		if risk, _ := now["risk"].(map[string]any); risk["score"] != 7.5 {
			t.Errorf("what another version wrote is lost: %v", now)
		}
		if now["seen"] == fields["seen"] {
			t.Error("nothing was rewritten")
		}
	}
	check(key)
	ok(t, w.SendProof(w.ctx, w.person(o.Token), "192.0.2.1"))
	up, err := w.StepUp(w.ctx, w.person(o.Token), w.sent.code(phone), "192.0.2.1")
	ok(t, err)
	check(sessionKey(digestOf(up.Token)))

	// The version before this one knew fewer fields.
	delete(fields, "proved")
	delete(fields, "address")
	fields["seen"] = w.time()
	if value, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	ok(t, w.memory.Put(w.ctx, sessionKey(digestOf("cs_old")), value, time.Hour))
	if p := w.person("cs_old"); p.Account != o.Account {
		t.Errorf("%+v", p)
	}
	ok(t, w.memory.Put(w.ctx, sessionKey(digestOf("cs_broken")), []byte("{"), time.Hour))
	_, err = w.Person(w.ctx, "cs_broken")
	is(t, err, clinic.ErrSignedOut)
}

// Everything in Memory is lost: a new sign-in, and nothing else.
func TestMemoryIsLost(t *testing.T) {
	w := newWorld(t)
	o := w.phoneSignIn(phone)
	m := w.staff("li", clinic.Grant{Role: clinic.Doctor, Hospital: "h1", Code: "D1"})
	clear(w.memory.all)
	for _, token := range []string{o.Token, m.Token} {
		_, err := w.Person(w.ctx, token)
		is(t, err, clinic.ErrSignedOut)
	}
	if again := w.phoneSignIn(phone); again.Account != o.Account {
		t.Error("another account")
	}
	ticket, enrol, err := w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
	ok(t, err)
	if enrol {
		t.Error("the second factor is gone")
	}
	in, err := w.SecondFactor(w.ctx, ticket, w.totp(m.secret), "", visitor)
	ok(t, err)
	if p := w.person(in.Token); p.Code(clinic.Doctor, "h1") != "D1" {
		t.Errorf("%+v", p)
	}
	// While it is away nobody is guessed to be signed in, or out.
	w.memory.err = errors.New("away")
	if _, err := w.Person(w.ctx, in.Token); err == nil || errors.Is(err, clinic.ErrSignedOut) {
		t.Errorf("%v", err)
	}
}
