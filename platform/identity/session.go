package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// session is what Memory keeps of one, under the digest of its token. Programs of two
// versions share it: what this one does not know stays when it writes.
type session struct {
	ID         string    `json:"id"` // public
	Account    int64     `json:"account"`
	Kind       Kind      `json:"kind"`
	Generation int       `json:"generation"`
	Device     Device    `json:"device"`
	Address    string    `json:"address"` // masked
	Began      time.Time `json:"began"`
	Seen       time.Time `json:"seen"`
	Ends       time.Time `json:"ends"`
	// Proved is when the person last proved to be himself.
	Proved time.Time `json:"proved"`

	rest map[string]json.RawMessage
}

// Device is what a person signs in with, in his own words.
type Device struct {
	Name    string `json:"name,omitempty" maxLength:"60" doc:"as its owner calls it"`
	Channel string `json:"channel" enum:"ios,android,h5,wechat,mini_program,web,desk"`
	Build   string `json:"build,omitempty" maxLength:"40" doc:"version of the app or page"`
}

type plainSession session

func (e *session) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, (*plainSession)(e)); err != nil {
		return err
	}
	return json.Unmarshal(text, &e.rest)
}

func (e session) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(plainSession(e))
	if err != nil || len(e.rest) == 0 {
		return text, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	for name, value := range e.rest {
		if _, ours := all[name]; !ours {
			all[name] = value
		}
	}
	return json.Marshal(all)
}

const (
	tokenPrefix = "cs_"
	// maxDevices of an account; the one not seen for the longest time gives way.
	maxDevices = 20
	// seenEvery is how exactly it is known when a session was last used.
	seenEvery = time.Minute
)

// newToken is 32 random bytes.
func newToken(prefix string) string {
	var b [32]byte
	rand.Read(b[:])
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

func digestOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func sessionKey(digest string) string { return "session:" + digest }
func devicesKey(account int64) string { return fmt.Sprintf("devices:%d", account) }
func (s *Service) idle(k Kind) time.Duration {
	if k == StaffAccount {
		return s.Limits.StaffIdle
	}
	return s.Limits.PatientIdle
}

func (s *Service) absolute(k Kind) time.Duration {
	if k == StaffAccount {
		return s.Limits.StaffAbsolute
	}
	return s.Limits.PatientAbsolute
}

// left is how long a session is good if nobody uses it any more; 0 or less is over.
func (s *Service) left(e session) time.Duration {
	now := s.now()
	return min(e.Seen.Add(s.idle(e.Kind)).Sub(now), e.Ends.Sub(now))
}

// Opened is a session that began.
type Opened struct {
	Token   string    `json:"token" doc:"for Authorization: Bearer; shown this once"`
	Session string    `json:"session" doc:"its number, no secret"`
	Account int64     `json:"account"`
	Kind    Kind      `json:"kind"`
	Idle    int64     `json:"idle_seconds" doc:"it is over when it is not used for so long"`
	Ends    time.Time `json:"ends_at" doc:"it is over then in any case"`
	// Known says that this device signed in before.
	Known string `json:"device_token,omitempty" doc:"for the device to keep, for half a year: sent along at its next sign-in, strangers' tries do not slow it. It signs nobody in."`
	// Recovery codes of a second factor that was set up now.
	Recovery []string `json:"recovery_codes,omitempty" doc:"each stands in once for the second factor; shown this once"`
}

func (s *Service) opened(token string, e session) Opened {
	return Opened{Token: token, Session: e.ID, Account: e.Account, Kind: e.Kind, Idle: int64(s.idle(e.Kind) / time.Second), Ends: e.Ends}
}

// Visitor is where a request to sign in comes from.
type Visitor struct {
	Address string
	Device  Device
	// Before is who was signed in on that device until now.
	Before clinic.Person
	// Known is the token that the device has of an earlier sign-in; "" for none.
	Known string
}

// begin opens a session. The token is a new one whatever the visitor brought, and the
// session that he brought is over: nobody can plant one.
func (s *Service) begin(ctx context.Context, r record, v Visitor) (Opened, error) {
	if r.Disabled {
		return Opened{}, fmt.Errorf("%w: the account is disabled", clinic.ErrRule)
	}
	if v.Before.Session != "" {
		if err := s.end(ctx, v.Before.Account, v.Before.Session); err != nil && !errors.Is(err, clinic.ErrNotFound) {
			return Opened{}, err
		}
	}
	now := s.now().UTC()
	e := session{ID: strings.ToLower(rand.Text()[:16]), Account: r.ID, Kind: r.Kind, Generation: r.generation, Device: v.Device, Address: maskAddress(v.Address),
		Began: now, Seen: now, Proved: now, Ends: now.Add(s.absolute(r.Kind))}
	token := newToken(tokenPrefix)
	if err := s.keep(ctx, token, e); err != nil {
		return Opened{}, err
	}
	if err := s.note(ctx, clinic.Act{Person: clinic.Person{Account: r.ID, Name: r.Title, Grants: r.Grants}, Verb: "sign in", Subject: Subject(r.ID), Data: map[string]any{"session": e.ID, "channel": v.Device.Channel, "address": e.Address}}); err != nil {
		return Opened{}, err
	}
	o := s.opened(token, e)
	o.Known = s.deviceToken(r.who())
	return o, nil
}

// keep puts a session under a token, and into the account's list of devices.
func (s *Service) keep(ctx context.Context, token string, e session) error {
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	digest := digestOf(token)
	if err := s.Memory.Put(ctx, sessionKey(digest), value, s.left(e)); err != nil {
		return fmt.Errorf("keep a session: %w", err)
	}
	return s.changeDevices(ctx, e.Account, e.Kind, func(all []string) []string { return append(all, digest) })
}

// changeDevices changes the list of an account's sessions, whoever else does so meanwhile.
func (s *Service) changeDevices(ctx context.Context, account int64, kind Kind, f func([]string) []string) error {
	for {
		old, _, err := s.Memory.Get(ctx, devicesKey(account))
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		var all []string
		if old != nil && json.Unmarshal(old, &all) != nil {
			all = nil // written by something else
		}
		all = f(slices.Clone(all))
		if len(all) > maxDevices {
			if all, err = s.fewer(ctx, all); err != nil {
				return err
			}
		}
		next, err := json.Marshal(all)
		if err != nil {
			return err
		}
		swapped, err := s.Memory.Swap(ctx, devicesKey(account), old, next, s.absolute(kind))
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		if swapped {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// fewer drops the sessions that are over, then those seen longest ago.
func (s *Service) fewer(ctx context.Context, digests []string) ([]string, error) {
	live, err := s.load(ctx, digests)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(live, func(a, b kept) int { return b.Seen.Compare(a.Seen) })
	var out []string
	for i, k := range live {
		if i < maxDevices {
			out = append(out, k.digest)
		} else if _, err := s.Memory.Delete(ctx, sessionKey(k.digest)); err != nil {
			return nil, fmt.Errorf("end a session: %w", err)
		}
	}
	return out, nil
}

type kept struct {
	session
	digest string
	value  []byte
}

// load reads the sessions that are not over.
func (s *Service) load(ctx context.Context, digests []string) (live []kept, err error) {
	for _, d := range digests {
		value, ok, err := s.Memory.Get(ctx, sessionKey(d))
		if err != nil {
			return nil, fmt.Errorf("read a session: %w", err)
		}
		var e session
		if ok && json.Unmarshal(value, &e) == nil && s.left(e) > 0 {
			live = append(live, kept{e, d, value})
		}
	}
	return live, nil
}

func (s *Service) sessions(ctx context.Context, account int64) ([]kept, error) {
	value, ok, err := s.Memory.Get(ctx, devicesKey(account))
	if err != nil || !ok {
		return nil, err
	}
	var digests []string
	_ = json.Unmarshal(value, &digests) // written by something else: there are none that we know
	r, err := s.account(ctx, account)
	if err != nil {
		return nil, err
	}
	live, err := s.load(ctx, digests)
	return slices.DeleteFunc(live, func(k kept) bool { return k.Generation < r.generation }), err
}

// Person implements clinic.People.
func (s *Service) Person(ctx context.Context, token string) (clinic.Person, error) {
	p, _, err := s.signedIn(ctx, token)
	return p, err
}

func (s *Service) signedIn(ctx context.Context, token string) (clinic.Person, session, error) {
	var e session
	if !strings.HasPrefix(token, tokenPrefix) {
		return clinic.Person{}, e, clinic.ErrSignedOut
	}
	key := sessionKey(digestOf(token))
	value, ok, err := s.Memory.Get(ctx, key)
	if err != nil {
		return clinic.Person{}, e, fmt.Errorf("read a session: %w", err)
	}
	if !ok || json.Unmarshal(value, &e) != nil || s.left(e) <= 0 {
		return clinic.Person{}, e, clinic.ErrSignedOut
	}
	r, err := s.account(ctx, e.Account)
	if errors.Is(err, clinic.ErrNotFound) {
		return clinic.Person{}, e, clinic.ErrSignedOut
	}
	if err != nil {
		return clinic.Person{}, e, err
	}
	if r.generation < e.Generation { // remembered from before
		s.forget(e.Account)
		if r, err = s.account(ctx, e.Account); err != nil {
			return clinic.Person{}, e, err
		}
	}
	if r.Disabled || r.generation != e.Generation {
		return clinic.Person{}, e, clinic.ErrSignedOut
	}
	if now := s.now().UTC(); now.Sub(e.Seen) >= min(seenEvery, s.idle(e.Kind)/10) {
		e.Seen = now
		next, err := json.Marshal(e)
		if err != nil {
			return clinic.Person{}, e, err
		}
		// Whoever was faster has seen it, or ended it.
		if _, err := s.Memory.Swap(ctx, key, value, next, s.left(e)); err != nil {
			return clinic.Person{}, e, fmt.Errorf("use a session: %w", err)
		}
	}
	return clinic.Person{Account: r.ID, Name: r.shown(), Session: e.ID, Grants: r.Grants}, e, nil
}

// shown is an account's name for others: never a patient's own in full.
func (r record) shown() string {
	for _, name := range []string{r.Title, r.RealName, r.Phone} {
		if name != "" {
			return name
		}
	}
	return Subject(r.ID)
}

// Session of an account as its owner sees it.
type Session struct {
	ID      string    `json:"session"`
	Device  Device    `json:"device"`
	Address string    `json:"address" doc:"masked" example:"203.0.*.*"`
	Began   time.Time `json:"began_at"`
	Seen    time.Time `json:"seen_at" doc:"to a minute"`
	Ends    time.Time `json:"ends_at"`
	Current bool      `json:"current" doc:"the one that asks"`
}

// Sessions of an account, last seen first.
func (s *Service) Sessions(ctx context.Context, account int64, current string) ([]Session, error) {
	live, err := s.sessions(ctx, account)
	if err != nil {
		return nil, err
	}
	out := []Session{}
	for _, k := range live {
		out = append(out, Session{k.ID, k.Device, k.Address, k.Began, k.Seen, k.Ends, k.ID == current})
	}
	slices.SortFunc(out, func(a, b Session) int { return b.Seen.Compare(a.Seen) })
	return out, nil
}

// end ends one session of an account.
func (s *Service) end(ctx context.Context, account int64, id string) error {
	live, err := s.sessions(ctx, account)
	if err != nil {
		return err
	}
	for _, k := range live {
		if k.ID != id {
			continue
		}
		if _, err := s.Memory.Delete(ctx, sessionKey(k.digest)); err != nil {
			return fmt.Errorf("end a session: %w", err)
		}
		return s.changeDevices(ctx, account, k.Kind, func(all []string) []string {
			return slices.DeleteFunc(all, func(d string) bool { return d == k.digest })
		})
	}
	return clinic.ErrNotFound
}

// End ends one session.
func (s *Service) End(ctx context.Context, by clinic.Person, account int64, id string) error {
	if err := s.end(ctx, account, id); err != nil {
		return err
	}
	return s.note(ctx, clinic.Act{Person: by, Verb: "sign out", Subject: Subject(account), Data: map[string]any{"session": id}})
}

// EndAll ends every session of an account, everywhere and for certain: those that
// Memory cannot be told of are of an older generation.
func (s *Service) EndAll(ctx context.Context, by clinic.Person, account int64, note string) error {
	return s.change(ctx, account, clinic.Act{Person: by, Verb: "sign out everywhere", Note: note}, func(tx pgx.Tx) error {
		return s.nextGeneration(ctx, tx, account)
	})
}

// current is the session of who asks.
func (s *Service) current(ctx context.Context, p clinic.Person) (kept, error) {
	live, err := s.sessions(ctx, p.Account)
	for _, k := range live {
		if k.ID == p.Session {
			return k, nil
		}
	}
	if err == nil {
		err = clinic.ErrSignedOut
	}
	return kept{}, err
}

// replace gives a session a new token, since its person has just proved himself; the
// old one is nothing from then on, whoever knows it.
func (s *Service) replace(ctx context.Context, k kept, generation int) (Opened, error) {
	// Only one can take the old one's place.
	n, err := s.Memory.Delete(ctx, sessionKey(k.digest))
	if err != nil {
		return Opened{}, fmt.Errorf("end a session: %w", err)
	}
	if n == 0 {
		return Opened{}, clinic.ErrSignedOut
	}
	e := k.session
	e.Seen = s.now().UTC()
	e.Proved, e.Generation = e.Seen, generation
	token := newToken(tokenPrefix)
	if err := s.keep(ctx, token, e); err != nil {
		return Opened{}, err
	}
	err = s.changeDevices(ctx, e.Account, e.Kind, func(all []string) []string {
		return slices.DeleteFunc(all, func(d string) bool { return d == k.digest })
	})
	return s.opened(token, e), err
}

// provedWithin is how long a person who proved himself may do what needs it.
const provedWithin = 10 * time.Minute

// Proved returns ErrRule unless who asks proved himself a moment ago.
func (s *Service) Proved(ctx context.Context, p clinic.Person) error {
	k, err := s.current(ctx, p)
	if err != nil {
		return err
	}
	if s.now().Sub(k.Proved) > provedWithin {
		return fmt.Errorf("%w: prove first that it is you (step-up); that holds for ten minutes", clinic.ErrRule)
	}
	return nil
}
