package main

import (
	"testing"
)

// A hospital's administrator invites somebody, who sets a password with what is shown
// once; a role that is taken away is gone.
func TestConsoleLooksAfterPeople(t *testing.T) {
	t.Parallel()
	o := newConsole(t)
	b := newBrowser(t, o.hub.address, "en-US")
	b.joins("zhao", o.invites("zhao", "hospital_admin", "jiangwan"))
	b.keys("ge")
	b.sees("测试zhao", "Hospital administrator")
	b.accessible("people")
	b.press("Invite")
	b.sees("Invite a member of staff")
	b.fill("Name to sign in with", "qian")
	b.fill("Full name", "测试qian")
	b.press("Confirm")
	b.sees("The invitation is shown this once")
	var invitation string
	b.js(`document.querySelector('.ant-alert .mono').innerText.trim()`, &invitation)
	b.sees("测试qian", "Nurse")
	b.accessible("invitation")

	c := newBrowser(t, o.hub.address, "en-US")
	c.open("")
	c.english()
	c.press("I have an invitation")
	c.fill("Invitation", invitation)
	c.fill("New password", "correct horse 9 battery")
	c.press("Set password")
	c.sees("Your password is set")
	c.sound()

	b.press("Take away")
	b.sees("Take from 测试qian: Nurse?")
	b.fill("Why", "works elsewhere")
	b.press("Take away")
	b.misses("测试qian")
	b.sound()
}
