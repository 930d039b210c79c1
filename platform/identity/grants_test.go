package identity

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hishub/core"
	"hishub/platform/clinic"
)

func TestGrants(t *testing.T) {
	w := newWorld(t)
	head := w.staff("head", clinic.Grant{Role: clinic.HospitalAdmin, Hospital: "h1"})
	deputy := w.staff("deputy", clinic.Grant{Role: clinic.HospitalAdmin, Hospital: "h1"})
	other := w.staff("other", clinic.Grant{Role: clinic.HospitalAdmin, Hospital: "h2"})
	li := w.staff("li")
	// An invitation that was lost is made again, and the role stays.
	nurse := clinic.Grant{Role: clinic.Nurse, Hospital: "h1"}
	lost, err := w.inviteWith(w.ctx, head.Person, "fresh", "新人", nurse, "")
	ok(t, err)
	again, err := w.inviteWith(w.ctx, head.Person, "fresh", "新人", nurse, "")
	ok(t, err)
	if again.Account != lost.Account || again.Grant != nil || lost.Grant == nil {
		t.Errorf("%+v, %+v", lost, again)
	}
	is(t, w.Accept(w.ctx, lost.Invitation, password, ""), ErrRefused)
	ok(t, w.Accept(w.ctx, again.Invitation, password, ""))
	_, err = w.inviteWith(w.ctx, other.Person, "fresh", "", clinic.Grant{Role: clinic.Nurse, Hospital: "h2"}, "")
	is(t, err, clinic.ErrState) // has a password: gets the role, not an invitation
	_, err = w.inviteWith(w.ctx, other.Person, "more", "新人", nurse, "")
	is(t, err, clinic.ErrRule)

	rule := func(err error) { t.Helper(); is(t, err, clinic.ErrRule) }
	give := func(by *member, to *member, role clinic.Role, hospital, code string) (Granted, error) {
		return w.Grant(w.ctx, by.Person, to.Account(), clinic.Grant{Role: role, Hospital: hospital, Code: code}, "")
	}

	g, err := give(head, li, clinic.Doctor, "h1", "D1")
	ok(t, err)
	if g.State != Active || g.ProposedBy != head.Account() {
		t.Errorf("%+v", g)
	}
	if p := w.person(li.Token); !p.May(clinic.Treat, "h1") || p.Code(clinic.Doctor, "h1") != "D1" { // at once, in a session that began before
		t.Errorf("%+v", p)
	}
	_, err = give(head, li, clinic.Doctor, "h1", "D2")
	is(t, err, clinic.ErrState) // has it
	_, err = give(head, head, clinic.Doctor, "h1", "D1")
	rule(err) // nobody grants to himself
	_, err = give(head, li, clinic.Doctor, "h2", "D1")
	rule(err) // another hospital
	_, err = give(head, li, clinic.SecurityAdmin, "", "")
	rule(err) // not of a hospital
	_, err = give(head, li, clinic.Auditor, "h1", "")
	rule(err)
	_, err = give(li, other, clinic.Nurse, "h1", "")
	rule(err) // a doctor gives nothing
	patient := w.phoneSignIn(phone)
	_, err = w.Grant(w.ctx, head.Person, patient.Account, clinic.Grant{Role: clinic.Nurse, Hospital: "h1"}, "")
	is(t, err, clinic.ErrNotFound)
	var wrong core.Problems
	for field, bad := range map[string]clinic.Grant{"code": {Role: clinic.Doctor, Hospital: "h1"}, "role": {Role: clinic.Patient}, "hospital": {Role: clinic.Nurse}} {
		if _, err := w.GrantAtDatabase(w.ctx, li.Account(), bad, ""); !errors.As(err, &wrong) || wrong[0].Field != field {
			t.Errorf("%+v: %v", bad, err)
		}
	}

	// finance takes two.
	g, err = give(head, li, clinic.Finance, "h1", "")
	ok(t, err)
	if g.State != Proposed || w.person(li.Token).May(clinic.Refunding, "h1") {
		t.Errorf("one person made finance: %+v", g)
	}
	_, err = w.Approve(w.ctx, head.Person, g.ID)
	rule(err) // the same person
	_, err = w.Approve(w.ctx, li.Person, g.ID)
	rule(err) // may give nothing
	_, err = w.Approve(w.ctx, other.Person, g.ID)
	rule(err) // of another hospital
	_, err = give(deputy, head, clinic.Finance, "h1", "")
	ok(t, err)
	w.wait(provedWithin + time.Minute)
	_, err = w.Approve(w.ctx, deputy.Person, g.ID)
	rule(err) // has not proved himself lately
	up, err := w.StepUp(w.ctx, deputy.Person, w.totp(deputy.secret), "")
	ok(t, err)
	deputy.Opened = up
	deputy.Person = w.person(up.Token)
	var in atomic.Int32
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := w.Approve(w.ctx, deputy.Person, g.ID); err == nil {
				in.Add(1)
			} else if !errors.Is(err, clinic.ErrState) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 || !w.person(li.Token).May(clinic.Refunding, "h1") || w.acts.count("approve grant") != 1 {
		t.Errorf("approved %d times", in.Load())
	}
	_, err = w.Revoke(w.ctx, other.Person, g.ID, "")
	rule(err)
	_, err = w.Revoke(w.ctx, head.Person, g.ID, "left")
	ok(t, err)
	if w.person(li.Token).May(clinic.Refunding, "h1") {
		t.Error("a revoked role is still there")
	}
	_, err = w.Approve(w.ctx, deputy.Person, g.ID)
	is(t, err, clinic.ErrState)
	_, err = w.Revoke(w.ctx, head.Person, 999, "")
	is(t, err, clinic.ErrNotFound)
}

func TestSecurityTakesTwo(t *testing.T) {
	w := newWorld(t)
	one := w.staff("one", clinic.Grant{Role: clinic.SecurityAdmin})
	two := w.staff("two", clinic.Grant{Role: clinic.SecurityAdmin})
	li := w.staff("li")
	for _, role := range []clinic.Role{clinic.SecurityAdmin, clinic.Auditor} {
		g, err := w.Grant(w.ctx, one.Person, li.Account(), clinic.Grant{Role: role}, "")
		ok(t, err)
		if g.State != Proposed {
			t.Errorf("%s is %s", role, g.State)
		}
		_, err = w.Approve(w.ctx, one.Person, g.ID)
		is(t, err, clinic.ErrRule)
		_, err = w.Approve(w.ctx, two.Person, g.ID)
		ok(t, err)
	}
	// One alone cannot become two: no invitation for whoever holds such a role.
	_, _, err := w.Invite(w.ctx, one.Person, "two", "", true)
	is(t, err, clinic.ErrRule)
	_, _, err = w.Invite(w.ctx, one.Person, "one", "", true)
	is(t, err, clinic.ErrRule)
	account, _, err := w.Invite(w.ctx, clinic.Person{}, "fresh", "新人", false)
	ok(t, err)
	_, err = w.GrantAtDatabase(w.ctx, account, clinic.Grant{Role: clinic.SecurityAdmin}, "")
	ok(t, err)
	head := w.staff("head", clinic.Grant{Role: clinic.HospitalAdmin, Hospital: "h1"})
	for _, by := range []*member{one, head} {
		_, _, err = w.Invite(w.ctx, by.Person, "fresh", "", false)
		is(t, err, clinic.ErrRule)
	}
	ops, err := w.Grant(w.ctx, one.Person, li.Account(), clinic.Grant{Role: clinic.Ops}, "")
	ok(t, err)
	if ops.State != Active {
		t.Errorf("%+v", ops)
	}
}

func TestDisable(t *testing.T) {
	w := newWorld(t)
	li := w.staff("li", clinic.Grant{Role: clinic.Nurse, Hospital: "h1"})
	sec := w.staff("sec", clinic.Grant{Role: clinic.SecurityAdmin})
	ticket, _, err := w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
	ok(t, err)
	is(t, w.Disable(w.ctx, sec.Person, sec.Account(), ""), clinic.ErrRule)
	ok(t, w.Disable(w.ctx, sec.Person, li.Account(), "left"))
	_, err = w.Person(w.ctx, li.Token)
	is(t, err, clinic.ErrSignedOut)
	_, err = w.SecondFactor(w.ctx, ticket, w.totp(li.secret), "", visitor) // a sign-in that was half done
	is(t, err, ErrRefused)
	is(t, w.Disable(w.ctx, sec.Person, li.Account(), "left"), clinic.ErrState)
	is(t, w.Disable(w.ctx, sec.Person, 999, "left"), clinic.ErrNotFound)
	ok(t, w.Enable(w.ctx, sec.Person, li.Account(), "back"))
	_, err = w.Person(w.ctx, li.Token)
	is(t, err, clinic.ErrSignedOut)
	_, _, err = w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
	ok(t, err)
	p := w.phoneSignIn(phone)
	ok(t, w.Disable(w.ctx, sec.Person, p.Account, "abuse"))
	w.wait(time.Minute)
	ok(t, w.SendCode(w.ctx, phone, "", "192.0.2.1"))
	_, err = w.ByPhone(w.ctx, phone, w.sent.code(phone), "", visitor)
	is(t, err, clinic.ErrRule)

	ok(t, w.ResetSecondFactor(w.ctx, sec.Person, li.Account(), "lost telephone"))
	_, enrol, err := w.ByPassword(w.ctx, "li", password, "", "192.0.2.2")
	ok(t, err)
	if !enrol {
		t.Error("the second factor is still there")
	}
	is(t, w.ResetSecondFactor(w.ctx, sec.Person, sec.Account(), ""), clinic.ErrRule)
}

// accepted signs a person in who was invited.
func (w *world) accepted(in Invited, name string) *member {
	w.T.Helper()
	ok(w.T, w.Accept(w.ctx, in.Invitation, password, "192.0.2.2"))
	ticket, _, err := w.ByPassword(w.ctx, name, password, "", "192.0.2.2")
	ok(w.T, err)
	offer, err := w.Enrol(w.ctx, ticket)
	ok(w.T, err)
	m := &member{name: name, secret: offer.Secret}
	m.Opened, err = w.Confirm(w.ctx, ticket, w.totp(m.secret), visitor)
	ok(w.T, err)
	m.Person = w.person(m.Token)
	return m
}

// Whoever makes a second person is no two persons.
func TestRuleOneAdminAloneMakesNoFinance(t *testing.T) {
	w := newWorld(t)
	at := func(role clinic.Role) clinic.Grant { return clinic.Grant{Role: role, Hospital: "h1"} }
	head := w.staff("head", at(clinic.HospitalAdmin))
	deputy := w.staff("deputy", at(clinic.HospitalAdmin))
	in, err := w.inviteWith(w.ctx, head.Person, "puppet", "木偶", at(clinic.HospitalAdmin), "")
	ok(t, err)
	if in.Grant.State != Proposed {
		t.Fatalf("one person alone made a hospital_admin: %+v", in.Grant)
	}
	puppet := w.accepted(in, "puppet")
	_, err = w.Approve(w.ctx, deputy.Person, in.Grant.ID)
	ok(t, err)
	puppet.Person = w.person(puppet.Token)
	purse, err := w.inviteWith(w.ctx, head.Person, "purse", "钱包", at(clinic.Finance), "")
	ok(t, err)
	_, err = w.Approve(w.ctx, puppet.Person, purse.Grant.ID)
	is(t, err, clinic.ErrRule) // the proposer made him
	_, err = w.Approve(w.ctx, deputy.Person, purse.Grant.ID)
	ok(t, err)
	other := w.staff("other")
	g, err := w.Grant(w.ctx, puppet.Person, other.Account(), at(clinic.Finance), "")
	ok(t, err)
	_, err = w.Approve(w.ctx, head.Person, g.ID)
	is(t, err, clinic.ErrRule) // he made the proposer

	w.wait(provedWithin + time.Minute)
	_, err = w.Grant(w.ctx, head.Person, other.Account(), at(clinic.Nurse), "")
	is(t, err, clinic.ErrRule)
	_, _, err = w.Invite(w.ctx, head.Person, "late", "新人", false)
	is(t, err, clinic.ErrRule)
}

func TestRuleInvitationDoesNotOutliveGrants(t *testing.T) {
	w := newWorld(t)
	head := w.staff("head", clinic.Grant{Role: clinic.HospitalAdmin, Hospital: "h1"})
	one := w.staff("one", clinic.Grant{Role: clinic.SecurityAdmin})
	two := w.staff("two", clinic.Grant{Role: clinic.SecurityAdmin})
	nurse := clinic.Grant{Role: clinic.Nurse, Hospital: "h1"}
	boss, err := w.inviteWith(w.ctx, head.Person, "boss", "老板", nurse, "")
	ok(t, err)
	g, err := w.Grant(w.ctx, one.Person, boss.Account, clinic.Grant{Role: clinic.SecurityAdmin}, "")
	ok(t, err)
	_, err = w.Approve(w.ctx, two.Person, g.ID)
	ok(t, err)
	var open int
	ok(t, w.Database.QueryRow(w.ctx, `select count(*) from identity.invitation where account = $1 and used_at is null`, boss.Account).Scan(&open))
	if open != 0 {
		t.Error("an invitation of a security_admin is open")
	}
	is(t, w.Accept(w.ctx, boss.Invitation, password, ""), ErrRefused)

	// A role elsewhere that the inviter may not give.
	fresh, err := w.inviteWith(w.ctx, head.Person, "fresh", "新人", nurse, "")
	ok(t, err)
	_, err = w.GrantAtDatabase(w.ctx, fresh.Account, clinic.Grant{Role: clinic.Nurse, Hospital: "h2"}, "")
	ok(t, err)
	is(t, w.Accept(w.ctx, fresh.Invitation, password, ""), ErrRefused)
}

// What another process changed holds here after seconds.
func TestChangesElsewhereHoldSoon(t *testing.T) {
	w := newWorld(t)
	li := w.staff("li", clinic.Grant{Role: clinic.Nurse, Hospital: "h1"})
	w.person(li.Token)
	_, err := w.Database.Exec(w.ctx, `update identity.role_grant set state = 'revoked' where account = $1`, li.Account())
	ok(t, err)
	if believed > 5*time.Second {
		t.Errorf("believed for %v", believed)
	}
	w.wait(believed)
	if w.person(li.Token).May(clinic.CheckIn, "h1") {
		t.Error("a role that another process took away is still there")
	}
}

// domain.md section 3: block when expired.
func TestRuleExpiredLicenceBlocks(t *testing.T) {
	w := newWorld(t)
	head := w.staff("head", clinic.Grant{Role: clinic.HospitalAdmin, Hospital: "h1"})
	li := w.staff("li", clinic.Grant{Role: clinic.Doctor, Hospital: "h1", Code: "D1"})
	licensed := func(hospital string, kind LicenceKind, at string, why string) {
		t.Helper()
		moment, err := time.Parse(time.RFC3339, at)
		ok(t, err)
		err = w.Licensed(w.ctx, li.Account(), hospital, kind, moment)
		if why == "" {
			ok(t, err)
			return
		}
		is(t, err, clinic.ErrRule)
		if err != nil && (!strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "110000")) {
			t.Errorf("%v does not say %q", err, why)
		}
	}
	licensed("h1", Physician, "2026-01-05T08:00:00+08:00", "there is no physician licence")
	number := "110000000000001"
	l, err := w.AddLicence(w.ctx, head.Person, "h1", Licence{Account: li.Account(), Kind: Physician, Number: number, From: "2025-01-06", Until: "2026-01-05"})
	ok(t, err)
	if strings.Contains(l.Number, "0000000") {
		t.Errorf("shown as %s", l.Number)
	}
	licensed("h1", Physician, "2026-01-05T23:59:59+08:00", "")
	licensed("h1", Physician, "2026-01-06T00:00:00+08:00", "expired on 2026-01-05")
	licensed("h1", Physician, "2025-01-05T12:00:00+08:00", "begins on 2025-01-06")
	licensed("h2", Physician, "2026-01-05T08:00:00+08:00", "there is no physician licence")
	licensed("h1", PharmacistLicence, "2026-01-05T08:00:00+08:00", "there is no pharmacist licence")

	// What ends soon is listed until another one follows.
	soon := func() int { all, err := w.Licences(w.ctx, "h1", 60*24*time.Hour); ok(t, err); return len(all) }
	if soon() != 1 {
		t.Error("the licence that ends today is not in the list")
	}
	next, err := w.AddLicence(w.ctx, head.Person, "h1", Licence{Account: li.Account(), Kind: Physician, Number: number, From: "2026-01-06", Until: "2027-01-05"})
	ok(t, err)
	if soon() != 0 {
		t.Error("one that another follows is in the list")
	}
	licensed("h1", Physician, "2026-01-06T00:00:00+08:00", "")
	ok(t, w.RevokeLicence(w.ctx, head.Person, "h1", next.ID, "complaint"))
	licensed("h1", Physician, "2026-01-06T00:00:00+08:00", "expired on 2026-01-05")
	is(t, w.RevokeLicence(w.ctx, head.Person, "h1", next.ID, "again"), clinic.ErrState)
	is(t, w.RevokeLicence(w.ctx, head.Person, "h2", l.ID, "not theirs"), clinic.ErrNotFound)
	ok(t, w.RevokeLicence(w.ctx, head.Person, "h1", l.ID, "complaint"))
	licensed("h1", Physician, "2026-01-05T08:00:00+08:00", "revoked")
	if all, err := w.Licences(w.ctx, "h1", 0); err != nil || len(all) != 2 || !all[0].Revoked || all[0].Number != l.Number {
		t.Errorf("%+v, %v", all, err)
	}

	_, err = w.AddLicence(w.ctx, head.Person, "h1", Licence{Account: head.Account(), Kind: Physician, Number: number, From: "2026-01-06", Until: "2027-01-05"})
	is(t, err, clinic.ErrRule) // one's own
	stranger := w.staff("stranger")
	_, err = w.AddLicence(w.ctx, head.Person, "h1", Licence{Account: stranger.Account(), Kind: Physician, Number: number, From: "2026-01-06", Until: "2027-01-05"})
	is(t, err, clinic.ErrNotFound) // does not work there
	var wrong core.Problems
	for field, bad := range map[string]Licence{
		"kind": {Number: number, From: "2026-01-06", Until: "2027-01-05"}, "number": {Kind: Physician, Number: "1", From: "2026-01-06", Until: "2027-01-05"},
		"valid_from": {Kind: Physician, Number: number, From: "x", Until: "2027-01-05"}, "valid_until": {Kind: Physician, Number: number, From: "2026-01-06", Until: "2026-01-05"},
	} {
		bad.Account = li.Account()
		if _, err := w.AddLicence(w.ctx, head.Person, "h1", bad); !errors.As(err, &wrong) || wrong[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestRuleMissingConsentIsNamed(t *testing.T) {
	w := newWorld(t)
	p := w.person(w.phoneSignIn(phone).Token)
	missing := func(kind ConsentKind) {
		t.Helper()
		err := w.Consented(w.ctx, p.Account, kind)
		is(t, err, clinic.ErrRule)
		if err != nil && !strings.Contains(err.Error(), string(kind)) {
			t.Errorf("%v does not name %s", err, kind)
		}
	}
	for _, kind := range Privacy.Values() {
		missing(ConsentKind(kind))
	}
	is(t, w.Agree(w.ctx, p, Privacy, 2), clinic.ErrState) // there is no such version
	ok(t, w.Agree(w.ctx, p, Privacy, 1))
	ok(t, w.Agree(w.ctx, p, Privacy, 1)) // again is harmless
	ok(t, w.Consented(w.ctx, p.Account, Privacy))
	missing(InternetDiagnosis)
	version, err := w.Publish(w.ctx, Privacy, "隐私政策", "新的文本")
	ok(t, err)
	if version != 2 {
		t.Errorf("version %d", version)
	}
	missing(Privacy)
	is(t, w.Agree(w.ctx, p, Privacy, 1), clinic.ErrState)
	ok(t, w.Agree(w.ctx, p, Privacy, 2))
	if all, err := w.Consents(w.ctx, p.Account); err != nil || len(all) != 3 || !all[1].Holds || all[1].Given != 2 || all[0].Holds {
		t.Errorf("%+v, %v", all, err)
	}
	ok(t, w.Withdraw(w.ctx, p, Privacy))
	missing(Privacy)
	is(t, w.Withdraw(w.ctx, p, Privacy), clinic.ErrNotFound)
	ok(t, w.Agree(w.ctx, p, Privacy, 2))
	ok(t, w.Consented(w.ctx, p.Account, Privacy))
	if w.acts.count("agree") != 3 || w.acts.count("withdraw consent") != 1 || w.acts.count("publish consent") != 1 {
		t.Error("the audit has other consents")
	}
	if texts, err := w.ConsentTexts(w.ctx); err != nil || len(texts) != 3 || texts[1].Version != 2 || texts[1].Text != "新的文本" {
		t.Errorf("%+v, %v", texts, err)
	}
}

func TestRealName(t *testing.T) {
	w := newWorld(t)
	const idNo, name = "110101199003070097", "张三测试"
	p := w.person(w.phoneSignIn(phone).Token)
	is(t, w.Verify(w.ctx, p, name, idNo, ""), clinic.ErrRule) // the consent is missing
	ok(t, w.Agree(w.ctx, p, SensitiveData, 1))
	var wrong core.Problems
	for _, bad := range []string{"", "110101199003070098", "11010119900307009", "110101199013070092", "x10101199003070097", "11010119900307009X"} {
		if err := w.Verify(w.ctx, p, name, bad, ""); !errors.As(err, &wrong) || wrong[0].Field != "id_no" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	_, _, err := w.Verified(w.ctx, p.Account)
	is(t, err, clinic.ErrRule)
	ok(t, w.Verify(w.ctx, p, name, idNo, ""))
	is(t, w.Verify(w.ctx, p, name, idNo, ""), clinic.ErrState)
	a, err := w.Account(w.ctx, p.Account)
	if err != nil || a.RealName != "张***" || a.IDNo != "110101********0097" || a.VerifiedAt.IsZero() {
		t.Errorf("%+v, %v", a, err)
	}
	if full, number, err := w.Verified(w.ctx, p.Account); err != nil || full != name || number != idNo {
		t.Errorf("%v", err)
	}
	if w.acts.count("verify real name") != 1 || strings.Contains(w.acts.everything(), idNo) || strings.Contains(w.acts.everything(), name) {
		t.Error("the audit has another real name, or the name itself")
	}
	for _, by := range [][3]string{{phone, "", ""}, {"", "", idNo}} {
		if all, err := w.Search(w.ctx, by[0], by[1], by[2]); err != nil || len(all) != 1 || all[0].ID != p.Account {
			t.Errorf("%v: %+v, %v", by, all, err)
		}
	}
	if w.person(w.phoneSignIn(phone).Token).Name != "张***" {
		t.Error("others see the name in full")
	}
	q := w.person(w.phoneSignIn("13800000002").Token)
	ok(t, w.Agree(w.ctx, q, SensitiveData, 1))
	w.RealName = w.Bounded(refuses{ErrMismatch})
	is(t, w.Verify(w.ctx, q, name, idNo, ""), clinic.ErrRule)
	w.RealName = w.Bounded(refuses{errors.New("away")})
	is(t, w.Verify(w.ctx, q, name, idNo, ""), clinic.ErrNoService)
	w.RealName = nil
	is(t, w.Verify(w.ctx, q, name, idNo, ""), clinic.ErrNoService)
}

func TestMakeGuardian(t *testing.T) {
	w := newWorld(t)
	p := w.phoneSignIn(phone)
	for range 2 {
		tx, err := w.Database.Begin(w.ctx)
		ok(t, err)
		ok(t, w.MakeGuardian(w.ctx, tx, p.Account))
		ok(t, tx.Commit(w.ctx))
	}
	w.wait(believed)
	if grants := w.person(p.Token).Grants; len(grants) != 2 || grants[1].Role != clinic.Guardian {
		t.Errorf("%+v", grants)
	}
}
