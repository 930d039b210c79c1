package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/identity"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// gateway notes what it took, by key.
type gateway struct {
	mu    sync.Mutex
	fails error
	took  map[string]int
	texts []string
}

func (g *gateway) Send(_ context.Context, key string, _ int64, _, text string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fails != nil {
		return g.fails
	}
	g.took[key]++
	g.texts = append(g.texts, text)
	return nil
}

func opened(t *testing.T) (*Service, *clinictest.Clinic, *gateway) {
	t.Helper()
	c, g := clinictest.New(t), &gateway{took: map[string]int{}}
	place, err := c.Place(t.Context(), "h1")
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{Clinic: c.Clinic, Senders: map[Channel]Sender{SMS: g}, Zone: place.Zone}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Whenever the test runs, it is no quiet hour.
	if _, err := s.Prefer(t.Context(), 7, Preferences{Language: "zh", QuietFrom: "00:00", QuietTo: "00:00"}); err != nil {
		t.Fatal(err)
	}
	return s, c, g
}

func send(c *clinictest.Clinic, s *Service, account int64, event string, params map[string]string) error {
	_, err := clinictest.Do(c, func(tx pgx.Tx, _ core.Outbox) (int, error) {
		return 0, s.Send(context.Background(), tx, account, event, params)
	})
	return err
}

var ready = map[string]string{"hospital": "h1", "no": "RX1"}

func deliver(t *testing.T, s *Service) int {
	t.Helper()
	if _, err := s.Database.Exec(t.Context(), `update notify.outbox set due = clock_timestamp() where state = 'waiting'`); err != nil {
		t.Fatal(err)
	}
	n, err := s.Deliver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNothingOfAPatientInNotices(t *testing.T) {
	s, c, _ := opened(t)
	for name, e := range events {
		for _, language := range languages {
			if err := e.words[language].check(); err != nil {
				t.Error(name, language, err)
			}
		}
	}
	for _, text := range []string{"{name}您好", "{patient}", "{diagnosis}已确诊", "{drug}", "{department}", "{id_no}", "{}", "{no", "no}", "{{no}}"} {
		_, err := s.SetTemplate(t.Context(), clinic.Person{}, "h1", Template{Event: "fulfilment.ready", Language: "zh", Channel: SMS, Words: Words{"取药", text}})
		var ps core.Problems
		if !errors.As(err, &ps) || ps[0].Field != "text" {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, params := range []map[string]string{{"name": "测试患者甲"}, {"hospital": "h1", "no": "测试患者甲"}, {"hospital": "h1", "no": "RX1", "diagnosis": "测试患者甲"}} {
		if err := send(c, s, 7, "fulfilment.ready", params); err == nil || strings.Contains(err.Error(), "测试患者") {
			t.Errorf("%v: %v", params, err)
		}
	}
	var kept int
	if err := s.Database.QueryRow(t.Context(), `select (select count(*) from notify.outbox) + (select count(*) from notify.inbox) + (select count(*) from notify.template)`).Scan(&kept); err != nil || kept != 0 {
		t.Fatal(kept, err)
	}
}

func TestWhatIsRolledBackWasNeverTold(t *testing.T) {
	s, c, g := opened(t)
	over := errors.New("the fact failed")
	_, err := clinictest.Do(c, func(tx pgx.Tx, _ core.Outbox) (int, error) {
		if err := s.Send(t.Context(), tx, 7, "fulfilment.ready", ready); err != nil {
			t.Error(err)
		}
		return 0, over
	})
	if !errors.Is(err, over) || deliver(t, s) != 0 || len(g.took) != 0 {
		t.Fatal(err, g.took)
	}
}

func TestEachIsSentOnce(t *testing.T) {
	s, c, g := opened(t)
	for i := range 40 {
		if err := send(c, s, 7, "fulfilment.ready", map[string]string{"hospital": "h1", "no": fmt.Sprint("RX", i)}); err != nil {
			t.Fatal(err)
		}
	}
	var processes sync.WaitGroup
	for range 4 {
		processes.Go(func() {
			if _, err := s.Deliver(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	processes.Wait()
	if n := deliver(t, s); n != 0 || len(g.took) != 40 {
		t.Fatal(n, "sent again; taken", len(g.took))
	}
	for key, n := range g.took {
		if n != 1 {
			t.Error(key, n)
		}
	}
	if !slices.Contains(g.texts, "您在测试一院的处方RX3可以取药，请在应用内查看取药码。") {
		t.Error(g.texts[0])
	}
}

func TestADeadProcessLosesNothing(t *testing.T) {
	s, c, g := opened(t)
	if err := send(c, s, 7, "fulfilment.ready", ready); err != nil {
		t.Fatal(err)
	}
	if _, err := s.claim(t.Context()); err != nil { // and dies
		t.Fatal(err)
	}
	if n, err := s.Deliver(t.Context()); n != 0 || err != nil {
		t.Fatal("sent while it is another's", n, err)
	}
	if n := deliver(t, s); n != 1 || len(g.took) != 1 {
		t.Fatal(n, g.took)
	}
}

func TestWhatWasTakenIsNotSentAgainByASlowOne(t *testing.T) {
	s, c, _ := opened(t)
	if err := send(c, s, 7, "fulfilment.ready", ready); err != nil {
		t.Fatal(err)
	}
	slow, err := s.claim(t.Context())
	if err != nil || deliver(t, s) != 1 {
		t.Fatal(err)
	}
	if err := s.settle(t.Context(), slow, `state = 'waiting', problem = 'slow'`); err != nil || deliver(t, s) != 0 {
		t.Fatal("sent again", err)
	}
}

func TestRetriesEndAndTheDeadAreListed(t *testing.T) {
	s, c, g := opened(t)
	g.fails = errors.New("the SMS gateway answers 503")
	if err := send(c, s, 7, "fulfilment.ready", ready); err != nil {
		t.Fatal(err)
	}
	for range maxAttempts - 1 {
		deliver(t, s)
	}
	if dead, err := s.Dead(t.Context(), nil, 10); err != nil || len(dead) != 0 {
		t.Fatal(dead, err)
	}
	deliver(t, s)
	g.fails = ErrNobody
	if err := send(c, s, 7, "fulfilment.ready", map[string]string{"hospital": "h2", "no": "RX2"}); err != nil {
		t.Fatal(err)
	}
	deliver(t, s)
	g.fails = nil
	if deliver(t, s) != 0 {
		t.Fatal("a dead one was sent")
	}
	dead, err := s.Dead(t.Context(), nil, 10)
	if err != nil || len(dead) != 2 || dead[1].Attempts != maxAttempts || dead[0].Attempts != 1 {
		t.Fatal(dead, err)
	}
	if mine, err := s.Dead(t.Context(), []string{"h1"}, 10); err != nil || len(mine) != 1 || mine[0].Problem != "the SMS gateway answers 503" {
		t.Fatal(mine, err)
	}
	if none, err := s.Dead(t.Context(), []string{}, 10); err != nil || len(none) != 0 {
		t.Fatal("who may see no hospital sees", none, err)
	}
}

func TestADownGatewayDoesNotUseUpTheTriesOfAll(t *testing.T) {
	s, c, g := opened(t)
	g.fails = errors.New("down")
	for range 3 * inARow {
		if err := send(c, s, 7, "fulfilment.ready", ready); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	var tried int
	if err := s.Database.QueryRow(t.Context(), `select count(*) from notify.outbox where attempts > 0`).Scan(&tried); err != nil || tried != inARow {
		t.Fatal(tried, err)
	}
}

func TestQuietHours(t *testing.T) {
	s, c, g := opened(t)
	now := time.Now().In(s.Zone)
	p := Preferences{Language: "en", QuietFrom: now.Add(-time.Hour).Format("15:04"), QuietTo: now.Add(time.Hour).Format("15:04")}
	if _, err := s.Prefer(t.Context(), 7, p); err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"fulfilment.ready", "consult.accepted"} {
		if err := send(c, s, 7, event, ready); err != nil {
			t.Fatal(err)
		}
	}
	if n := deliver(t, s); n != 1 || !strings.HasPrefix(g.texts[0], "Your consultation RX1 at 测试一院") {
		t.Fatal(n, g.texts)
	}
	var due time.Time
	var attempts int
	if err := s.Database.QueryRow(t.Context(), `select due, attempts from notify.outbox where state = 'waiting'`).Scan(&due, &attempts); err != nil || attempts != 0 || due.In(s.Zone).Format("15:04") != p.QuietTo {
		t.Fatal(due, attempts, err)
	}
}

func TestQuietEnd(t *testing.T) {
	for _, c := range []struct{ now, from, to, end string }{
		{"02 21:59", "22:00", "07:00", ""}, {"02 22:00", "22:00", "07:00", "03 07:00"}, {"02 06:59", "22:00", "07:00", "02 07:00"}, {"02 07:00", "22:00", "07:00", ""},
		{"02 12:30", "12:00", "14:00", "02 14:00"}, {"02 14:00", "12:00", "14:00", ""}, {"02 11:59", "12:00", "14:00", ""}, {"02 00:00", "00:00", "00:00", ""}, {"02 00:00", "x", "y", ""},
	} {
		now, err := time.Parse("02 15:04", c.now)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if end := quietEnd(now, c.from, c.to); !end.IsZero() {
			got = end.Format("02 15:04")
		}
		if got != c.end {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestPreferencesAndInbox(t *testing.T) {
	s, c, g := opened(t)
	ctx := t.Context()
	if _, err := s.Prefer(ctx, 7, Preferences{Language: "zh", QuietFrom: "00:00", QuietTo: "00:00", Unwanted: []Unwanted{{"fulfilment", SMS}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prefer(ctx, 7, Preferences{Language: "zh", Unwanted: []Unwanted{{"gossip", SMS}}}); err == nil {
		t.Fatal("a kind that is none")
	}
	for _, event := range []string{"fulfilment.ready", "consult.accepted", "prescription.approved"} {
		if err := send(c, s, 7, event, ready); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(c, s, 8, "consult.accepted", ready); err != nil {
		t.Fatal(err)
	}
	in, err := s.Inbox(ctx, 7, 0, 2)
	if err != nil || in.Unread != 3 || len(in.Notices) != 2 || in.Notices[0].Event != "prescription.approved" {
		t.Fatal(in, err)
	}
	if err := s.Read(ctx, 7, in.Notices[1].ID); err != nil {
		t.Fatal(err)
	}
	if in, err = s.Inbox(ctx, 7, in.Notices[1].ID, 2); err != nil || in.Unread != 1 || len(in.Notices) != 1 {
		t.Fatal(in, err)
	}
	if other, err := s.Inbox(ctx, 8, 0, 5); err != nil || other.Unread != 1 || len(other.Notices) != 1 {
		t.Fatal("another's inbox", other, err)
	}
	deliver(t, s)
	if slices.ContainsFunc(g.texts, func(text string) bool { return strings.Contains(text, "取药") }) {
		t.Fatal("sent though unwanted", g.texts)
	}
}

func TestAHospitalsOwnWords(t *testing.T) {
	s, c, g := opened(t)
	for channel, text := range map[Channel]string{SMS: "{hospital}药房请您取药", InApp: "还有{minutes}分钟"} {
		if _, err := s.SetTemplate(t.Context(), clinic.Person{Account: 1}, "h1", Template{Event: "fulfilment.ready", Language: "zh", Channel: channel, Words: Words{"取药", text}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(c, s, 7, "fulfilment.ready", ready); err != nil {
		t.Fatal(err)
	}
	// The inbox's words want more than the event gives: the notice goes out in ours.
	if in, err := s.Inbox(t.Context(), 7, 0, 5); err != nil || !strings.Contains(in.Notices[0].Text, "取药码") {
		t.Fatal(in, err)
	}
	if deliver(t, s) != 1 || g.texts[0] != "测试一院药房请您取药" {
		t.Fatal(g.texts)
	}
	all, err := s.Templates(t.Context(), "h1")
	own := 0
	for _, t := range all {
		if t.Own {
			own++
		}
	}
	if err != nil || len(all) != len(events)*len(languages)*len(channels) || own != 2 {
		t.Fatal(len(all), own, err)
	}
}

type people struct{ phone string }

func (p people) Unmasked(context.Context, int64) (identity.Full, error) {
	return identity.Full{Phone: p.phone}, nil
}

type line map[string]string

func (l line) Send(_ context.Context, phone, text string) error { l[phone] = text; return nil }

func TestPhone(t *testing.T) {
	l := line{}
	if err := (Phone{l, people{"13800000000"}}).Send(t.Context(), "k", 7, "t", "text"); err != nil || l["13800000000"] != "text" {
		t.Fatal(l, err)
	}
	if err := (Phone{l, people{}}).Send(t.Context(), "k", 7, "t", "text"); !errors.Is(err, ErrNobody) {
		t.Fatal(err)
	}
}
