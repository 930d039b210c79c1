package main

import (
	"bytes"
	"image"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"hishub/core/postgres"
	"hishub/platform/chat"
	"hishub/platform/clinic"
	"hishub/platform/consult"
)

// noisy is a photo of so many pixels a side that is not made small by JPEG.
func noisy(tb testing.TB, side int) []byte {
	tb.Helper()
	im := image.NewRGBA(image.Rect(0, 0, side, side))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range im.Pix {
		im.Pix[i] = byte(random.Uint32())
	}
	var b bytes.Buffer
	ok(tb, jpeg.Encode(&b, im, &jpeg.Options{Quality: 95}))
	return b.Bytes()
}

// uploads puts a picture into a conversation.
func (o *office) uploads(token, conversation, id string, file []byte) said {
	o.Helper()
	path := clinic.Prefix + "/conversations/" + conversation + "/pictures"
	r, err := http.NewRequest("POST", o.address+path+"?client_id="+id, bytes.NewReader(file))
	ok(o, err)
	r.Header.Set("Content-Type", "image/jpeg")
	r.Header.Set("Authorization", "Bearer "+token)
	a, err := http.DefaultClient.Do(r)
	ok(o, err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	ok(o, err)
	if o.went != nil && a.StatusCode < 300 {
		o.went("POST", path)
	}
	return said{a.StatusCode, a.Header, string(text)}
}

// pictures: the patient sends one, which the doctor sees once it was sent, and nobody else.
func (d *day) pictures(k consult.Consult) {
	d.Helper()
	var p chat.Picture
	d.uploads(d.patient, k.Conversation, "photo", noisy(d, 64)).into(d, &p)
	base := "/conversations/" + k.Conversation
	d.refused(d.doctor, "GET", base+"/pictures/"+p.No, nil, 404, "no such record")
	d.must(d.patient, "POST", base+"/messages", object{"client_id": "photo", "kind": "image", "image": p.No}, nil)
	for _, part := range []string{"whole", "small"} {
		s := d.ask(d.doctor, "GET", clinic.Prefix+base+"/pictures/"+p.No+"?part="+part, nil)
		if s.status != http.StatusOK || s.header.Get("Cache-Control") != "private, no-store" || !strings.HasPrefix(s.text, "\xff\xd8\xff") {
			d.Errorf("the %s picture: %d %v", part, s.status, s.header)
		}
	}
	d.refused(d.nurse, "GET", base+"/pictures/"+p.No, nil, 404, "no such record")
}

// A doctor who was moved to another hospital, by another process, loses his socket and his
// conversations; one who signs out, his socket. What he saw before is in the audit.
func TestAMovedDoctor(t *testing.T) {
	o := newOffice(t, "")
	server := httptest.NewServer(o.clinic.node.Handler())
	t.Cleanup(server.Close)
	p, doc := o.patient("", "13800000001"), o.member("moved", clinic.Grant{Role: clinic.Doctor, Hospital: "h1", Code: "D1"})
	tx, err := o.clinic.database.Begin(t.Context())
	ok(t, err)
	no, err := o.clinic.chat.Open(t.Context(), tx, "h1", "CS1", "PT1", p.Account, doc.Account)
	ok(t, err)
	ok(t, tx.Commit(t.Context()))
	messages := clinic.Prefix + "/conversations/" + no + "/messages"

	opened, closed := make(chan bool, 8), make(chan uint32, 8)
	socket := centrifuge.NewJsonClient("ws"+strings.TrimPrefix(server.URL, "http"), centrifuge.Config{Token: doc.Token, MinReconnectDelay: time.Millisecond, MaxReconnectDelay: 20 * time.Millisecond})
	socket.OnConnected(func(centrifuge.ConnectedEvent) { opened <- true })
	socket.OnConnecting(func(e centrifuge.ConnectingEvent) {
		if e.Code >= 3000 {
			closed <- e.Code
		}
	})
	socket.OnDisconnected(func(e centrifuge.DisconnectedEvent) { closed <- e.Code })
	ok(t, socket.Connect())
	defer socket.Close()
	next(t, opened)

	var k chat.Picture
	file := noisy(t, 1400) // some megabytes
	o.uploads(p.Token, no, "a", file).into(t, &k)
	if again := o.uploads(p.Token, no, "a", file); !strings.Contains(again.text, k.No) {
		t.Errorf("uploaded again: %s", again.text)
	}
	o.ask(p.Token, "POST", messages, object{"client_id": "a", "kind": "image", "image": k.No}).into(t, new(chat.Message))
	picture := clinic.Prefix + "/conversations/" + no + "/pictures/" + k.No
	if s := o.ask(doc.Token, "GET", picture, nil); s.status != 200 || len(s.text) != k.Size || s.header.Get("Cache-Control") != "private, no-store" || s.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("%d, %d bytes of %d, %v", s.status, len(s.text), k.Size, s.header)
	}
	o.ask(doc.Token, "GET", messages, nil).into(t, new([]chat.Message))

	_, err = o.clinic.database.Exec(t.Context(), `update identity.role_grant set hospital = 'h2' where account = $1`, doc.Account)
	ok(t, err)
	if code := next(t, closed); code != 4001 {
		t.Errorf("the socket was closed with %d", code)
	}
	next(t, opened) // with what rights are left
	for _, path := range []string{messages, picture} {
		if s := o.ask(doc.Token, "GET", path, nil); s.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, s.status)
		}
	}
	if s := o.ask(doc.Token, "POST", messages, object{"client_id": "b", "kind": "text", "text": "?"}); s.status != http.StatusNotFound {
		t.Errorf("he writes: %d %s", s.status, s.text)
	}
	if s := o.ask(doc.Token, "DELETE", clinic.Prefix+"/sessions/"+doc.Session, nil); s.status != http.StatusNoContent {
		t.Errorf("%d %s", s.status, s.text)
	}
	if code := next(t, closed); code != 3500 {
		t.Errorf("after he signed out the socket was closed with %d", code)
	}
	for verb, rows := range map[string]int{"clinic-socket": 2, "clinic-message-sync": 1, "clinic-picture": 1, "clinic-picture-upload": 2} {
		all, err := o.store.AuditEntries(t.Context(), postgres.AuditFilter{Verb: verb}, 10)
		ok(t, err)
		if len(all) != rows {
			t.Errorf("%s: %d rows, want %d", verb, len(all), rows)
		}
		for _, e := range all {
			if verb == "clinic-socket" != (e.Data == "") || verb != "clinic-socket" && !strings.Contains(e.Data, "PT1") || !strings.Contains(e.Actor, "account ") {
				t.Errorf("%+v", e)
			}
		}
	}
}

// next is what comes next, or the end of the test.
func next[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came")
	}
	return v
}
