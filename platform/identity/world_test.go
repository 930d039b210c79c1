package identity

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pquerna/otp/totp"

	"hishub/mocks/servers"
	"hishub/platform/clinic"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// world is the module on a real database, with a clock that is turned by hand, and a
// Memory, a sender and an audit that can be looked into.
type world struct {
	T *testing.T
	*Service
	ctx    context.Context
	memory *memory
	sent   *box
	acts   *acts
	mu     sync.Mutex
	clock  time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	db, err := pgxpool.New(ctx, servers.Postgres(t))
	ok(t, err)
	t.Cleanup(db.Close)
	w := &world{T: t, ctx: ctx, sent: &box{}, acts: &acts{}, clock: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)}
	w.memory = &memory{now: w.time, all: map[string]item{}}
	c := &clinic.Clinic{Database: db, Vault: vault{}, Trail: func(tx pgx.Tx) clinic.Trail { return w.acts }, Log: slog.New(slog.NewTextHandler(w.acts, nil))}
	w.Service = New(c, w.memory, Limits{})
	w.Service.now = w.time
	w.Sender, w.WeChat, w.RealName = w.sent, WeChatStandIn{}, w.Bounded(RealNameStandIn{w.time})
	ok(t, w.Migrate(ctx))
	ok(t, w.Migrate(ctx))
	return w
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
}

func tooMany(t testing.TB, err error) *clinic.TooMany {
	t.Helper()
	var many *clinic.TooMany
	if !errors.As(err, &many) {
		t.Fatalf("got %v, want too many", err)
	}
	return many
}

// phoneSignIn signs a patient in by a code, as another device each time.
func (w *world) phoneSignIn(phone string) Opened {
	w.T.Helper()
	w.wait(time.Minute)
	ok(w.T, w.SendCode(w.ctx, phone, "", "192.0.2.1"))
	number, err := phoneOf(phone)
	ok(w.T, err)
	o, err := w.ByPhone(w.ctx, phone, w.sent.code(number), "", Visitor{Address: "192.0.2.1", Device: Device{Channel: "h5"}})
	ok(w.T, err)
	return o
}

// person is who a token belongs to.
func (w *world) person(token string) clinic.Person {
	w.T.Helper()
	p, err := w.Person(w.ctx, token)
	ok(w.T, err)
	return p
}

const password = "correct horse 9 battery"

// member is a member of staff who has signed in.
type member struct {
	name, secret string
	Opened
	clinic.Person
}

// staff makes a member of staff with roles, and signs him in.
func (w *world) staff(name string, grants ...clinic.Grant) *member {
	w.T.Helper()
	account, code, err := w.Invite(w.ctx, clinic.Person{}, name, "测试"+name, false)
	ok(w.T, err)
	for _, g := range grants {
		_, err := w.GrantAtDatabase(w.ctx, account, g, "")
		ok(w.T, err)
	}
	ok(w.T, w.Accept(w.ctx, code, password, "192.0.2.2"))
	ticket, enrol, err := w.ByPassword(w.ctx, name, password, "", "192.0.2.2")
	ok(w.T, err)
	if !enrol {
		w.T.Fatal("a new member of staff has a second factor")
	}
	offer, err := w.Enrol(w.ctx, ticket)
	ok(w.T, err)
	m := &member{name: name, secret: offer.Secret}
	m.Opened, err = w.Confirm(w.ctx, ticket, w.totp(m.secret), Visitor{Address: "192.0.2.2", Device: Device{Channel: "web"}})
	ok(w.T, err)
	m.Person = w.person(m.Token)
	return m
}

// totp is the code of now; the next one is another.
func (w *world) totp(secret string) string {
	w.T.Helper()
	w.wait(30 * time.Second)
	code, err := totp.GenerateCode(secret, w.time())
	ok(w.T, err)
	return code
}

// memory is Memory in a map.
type memory struct {
	mu  sync.Mutex
	now func() time.Time
	all map[string]item
	err error
	// read is called after each reading, with the key; may be nil.
	read func(key string)
}

type item struct {
	value []byte
	count int
	until time.Time
}

func (m *memory) at(key string) (item, bool) {
	i, ok := m.all[key]
	return i, ok && m.now().Before(i.until)
}

func (m *memory) Get(_ context.Context, key string) ([]byte, bool, error) {
	m.mu.Lock()
	i, ok := m.at(key)
	m.mu.Unlock()
	if m.read != nil {
		m.read(key)
	}
	if !ok {
		return nil, false, m.err
	}
	return i.value, true, m.err
}

func (m *memory) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[key] = item{value: value, until: m.now().Add(ttl)}
	return m.err
}

func (m *memory) Swap(_ context.Context, key string, old, next []byte, ttl time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, there := m.at(key)
	if m.err != nil || there != (old != nil) || there && !bytes.Equal(i.value, old) {
		return false, m.err
	}
	m.all[key] = item{value: next, until: m.now().Add(ttl)}
	return true, nil
}

func (m *memory) Delete(_ context.Context, keys ...string) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		if _, there := m.at(key); there {
			n++
		}
		delete(m.all, key)
	}
	return n, m.err
}

func (m *memory) Count(_ context.Context, key string, ttl time.Duration) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, there := m.at(key)
	if !there {
		i = item{until: m.now().Add(ttl)}
	}
	i.count++
	m.all[key] = i
	return i.count, m.err
}

// holds reports whether a text is anywhere in it.
func (m *memory) holds(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, i := range m.all {
		if strings.Contains(key, text) || bytes.Contains(i.value, []byte(text)) {
			return true
		}
	}
	return false
}

// box is a telephone for each number.
type box struct {
	mu   sync.Mutex
	last map[string]string
	n    int
	err  error
}

func (b *box) Send(_ context.Context, phone, text string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	if b.last == nil {
		b.last = map[string]string{}
	}
	b.last[phone] = text
	b.n++
	return nil
}

var sixDigits = regexp.MustCompile(`[0-9]{6}`)

func (b *box) code(phone string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return sixDigits.FindString(b.last[phone])
}

// acts is the audit and the log.
type acts struct {
	mu  sync.Mutex
	all []clinic.Act
	log bytes.Buffer
}

func (a *acts) Keep(_ context.Context, act clinic.Act) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, act)
	return nil
}

func (a *acts) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.Write(b)
}

func (a *acts) count(verb string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, act := range a.all {
		if act.Verb == verb {
			n++
		}
	}
	return n
}

// everything that was written down about people.
func (a *acts) everything() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprintf("%+v\n%s", a.all, a.log.String())
}

// vault hides texts well enough for tests, and refuses what was sealed for another.
type vault struct{}

func (vault) pad(purpose, number string) []byte {
	sum := sha256.Sum256([]byte(purpose + "/" + number))
	return sum[:]
}

func (v vault) Seal(plain []byte, purpose, number string) ([]byte, error) {
	pad := v.pad(purpose, number)
	out := bytes.Clone(pad[:4])
	for i, c := range plain {
		out = append(out, c^pad[i%len(pad)])
	}
	return out, nil
}

func (v vault) Open(sealed []byte, purpose, number string) ([]byte, error) {
	pad := v.pad(purpose, number)
	if len(sealed) < 4 || !bytes.Equal(sealed[:4], pad[:4]) {
		return nil, errors.New("sealed for another")
	}
	var out []byte
	for i, c := range sealed[4:] {
		out = append(out, c^pad[i%len(pad)])
	}
	return out, nil
}

func (vault) Index(text, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte("a key of tests"))
	fmt.Fprintf(mac, "%s/%s", purpose, text)
	return mac.Sum(nil)
}

// refuses is a service of others that says no.
type refuses struct{ err error }

func (r refuses) Verify(context.Context, string, string) error { return r.err }
