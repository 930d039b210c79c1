package chat

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
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// Those who are, or are not, in a conversation at h1.
var (
	patient  = clinic.Person{Account: 7, Grants: []clinic.Grant{{Role: clinic.Patient}}}
	doctor   = clinic.Person{Account: 11, Grants: []clinic.Grant{{Role: clinic.Doctor, Hospital: "h1", Code: "D1"}}}
	stranger = clinic.Person{Account: 99, Grants: []clinic.Grant{{Role: clinic.Patient}, {Role: clinic.Doctor, Hospital: "h1", Code: "D2"}}}
)

func opened(t *testing.T) (*Service, string) {
	t.Helper()
	s := &Service{Clinic: clinictest.New(t).Clinic}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, open(t, s, "CS1")
}

func open(t *testing.T, s *Service, subject string) (no string) {
	t.Helper()
	err := s.Transact(t.Context(), "h1", func(tx pgx.Tx, _ core.Outbox) (err error) {
		no, err = s.Open(t.Context(), tx, "h1", subject, "P1", patient.Account, doctor.Account)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return no
}

func sent(t *testing.T, s *Service, p clinic.Person, no, id, text string) Message {
	t.Helper()
	m, err := s.Send(t.Context(), p, no, New{ClientID: id, Kind: Text, Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func texts(all []Message) (out []string) {
	for _, m := range all {
		out = append(out, fmt.Sprintf("%d %s %s", m.Seq, m.From, m.Text))
	}
	return out
}

func TestAConversation(t *testing.T) {
	s, no := opened(t)
	ctx := t.Context()
	if again := open(t, s, "CS1"); again != no {
		t.Errorf("a second conversation of one consultation: %s", again)
	}
	first := sent(t, s, patient, no, "a", "您好")
	if again := sent(t, s, patient, no, "a", "您好"); again != first {
		t.Errorf("sent again: %+v, %+v", again, first)
	}
	if _, err := s.Send(ctx, patient, no, New{ClientID: "a", Kind: Text, Text: "别的"}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("the same id for another message: %v", err)
	}
	sent(t, s, doctor, no, "a", "请讲") // the same id of another sender
	err := s.Transact(ctx, "h1", func(tx pgx.Tx, _ core.Outbox) error {
		if err := s.Card(ctx, tx, no, "prescription", "RX1", "处方已审核通过"); err != nil {
			return err
		}
		return s.Close(ctx, tx, no)
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.Sync(ctx, patient, no, 0, 10)
	if want := []string{"1 patient 您好", "2 doctor 请讲", "3 system 处方已审核通过"}; err != nil || !slices.Equal(texts(all), want) || all[2].Number != "RX1" {
		t.Errorf("%q, %v", texts(all), err)
	}
	if all, err = s.Sync(ctx, doctor, no, 2, 10); err != nil || len(all) != 1 {
		t.Errorf("%q, %v", texts(all), err)
	}
	if _, err := s.Send(ctx, patient, no, New{ClientID: "b", Kind: Text, Text: "还有"}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("after the end: %v", err)
	}
	if again := sent(t, s, patient, no, "a", "您好"); again.Seq != 1 {
		t.Errorf("a repeat after the end: %+v", again)
	}
}

// Nobody reads, writes or marks a conversation that he is not in.
func TestNobodyElse(t *testing.T) {
	s, no := opened(t)
	ctx := t.Context()
	sent(t, s, patient, no, "a", "您好")
	for what, err := range map[string]error{
		"reads":      second(s.Sync(ctx, stranger, no, 0, 10)),
		"writes":     second(s.Send(ctx, stranger, no, New{ClientID: "x", Kind: Text, Text: "?"})),
		"marks":      s.Seen(ctx, stranger, no, 1),
		"no such":    second(s.Sync(ctx, patient, "CH0", 0, 10)),
		"no such, w": second(s.Send(ctx, patient, "CH0", New{ClientID: "x", Kind: Text, Text: "?"})),
	} {
		if !errors.Is(err, clinic.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if all, err := s.Conversations(ctx, stranger, 10); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// A doctor whose grant has ended, or who treats at another hospital now, has no
// conversations at the first one any more: none is read, written, marked or listed.
func TestAFormerDoctor(t *testing.T) {
	s, no := opened(t)
	ctx := t.Context()
	sent(t, s, doctor, no, "a", "请讲")
	moved, gone, nurse := doctor, doctor, doctor
	moved.Grants, gone.Grants = []clinic.Grant{{Role: clinic.Doctor, Hospital: "h2", Code: "D1"}}, nil
	nurse.Grants = []clinic.Grant{{Role: clinic.Nurse, Hospital: "h1"}, {Role: clinic.Patient}} // a doctor's seat is no patient's
	for name, p := range map[string]clinic.Person{"moved": moved, "gone": gone, "nurse": nurse} {
		for what, err := range map[string]error{
			"reads":   second(s.Sync(ctx, p, no, 0, 10)),
			"writes":  second(s.Send(ctx, p, no, New{ClientID: "x", Kind: Text, Text: "?"})),
			"repeats": second(s.Send(ctx, p, no, New{ClientID: "a", Kind: Text, Text: "请讲"})),
			"marks":   s.Seen(ctx, p, no, 1),
			"uploads": second(s.Upload(ctx, p, no, "x", photo(t, 8, 8))),
			"looks":   second(s.Look(ctx, p, no, "CI1", whole)),
		} {
			if !errors.Is(err, clinic.ErrNotFound) {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
		if all, err := s.Conversations(ctx, p, 10); err != nil || len(all) != 0 {
			t.Errorf("%s lists %+v, %v", name, all, err)
		}
	}
	if all, err := s.Conversations(ctx, doctor, 10); err != nil || len(all) != 1 {
		t.Errorf("the doctor lists %+v, %v", all, err)
	}
}

// Who reads is in the audit, with whose conversation it is.
func TestReadsAreInTheAudit(t *testing.T) {
	s, no := opened(t)
	api := clinictest.NewAPI(s.Routes, map[string]clinic.Person{"p": patient, "d": doctor, "x": stranger})
	api.Call(t, "p", "POST", "/conversations/"+no+"/messages", New{ClientID: "a", Kind: Text, Text: "您好"}, nil, 201)
	api.Call(t, "d", "GET", "/conversations/"+no+"/messages", nil, nil, 200)
	api.Call(t, "x", "GET", "/conversations/"+no+"/messages", nil, nil, 404)
	acts := api.Acts()
	if len(acts) != 2 || acts[1].Verb != "clinic-message-sync" || acts[1].Person.Account != doctor.Account || acts[1].Subject != "conversation "+no || acts[1].Hospital != "h1" || !slices.Equal(acts[1].Patients, []string{"P1"}) {
		t.Errorf("%+v", acts)
	}
}

func second[T any](_ T, err error) error { return err }

func TestReceipts(t *testing.T) {
	s, no := opened(t)
	ctx := t.Context()
	sent(t, s, patient, no, "a", "您好")
	sent(t, s, patient, no, "b", "在吗")
	for _, seq := range []int64{2, 1, 99} { // back is never, and no further than there is
		if err := s.Seen(ctx, doctor, no, seq); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range [][2]int64{{0, 2}, {2, 0}} {
		p := []clinic.Person{patient, doctor}[i]
		all, err := s.Conversations(ctx, p, 10)
		if err != nil || len(all) != 1 || [2]int64{all[0].Read, all[0].PeerRead} != want || all[0].Seq != 2 {
			t.Errorf("%d: %+v, %v", p.Account, all, err)
		}
	}
}

// Both write at once, with repeats: one order, no gap, each message once.
func TestNoGapAndNoDouble(t *testing.T) {
	s, no := opened(t)
	var all sync.WaitGroup
	for _, p := range []clinic.Person{patient, doctor} {
		for range 2 { // each message is sent by two of his devices
			all.Go(func() {
				for i := range 25 {
					if _, err := s.Send(context.Background(), p, no, New{ClientID: fmt.Sprint(i), Kind: Text, Text: fmt.Sprint(i)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	got, err := s.Sync(t.Context(), patient, no, 0, 500)
	if err != nil || len(got) != 50 {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	next := map[string]int{}
	for i, m := range got {
		if m.Seq != int64(i+1) || m.Text != fmt.Sprint(next[m.From]) {
			t.Fatalf("message %d has seq %d: %s %s", i+1, m.Seq, m.From, m.Text)
		}
		next[m.From]++
	}
}

func TestWhatIsNotSent(t *testing.T) {
	s, no := opened(t)
	for name, n := range map[string]New{
		"text": {ClientID: "a", Kind: Text, Text: " "}, "client_id": {Kind: Text, Text: "x"}, "kind": {ClientID: "a", Kind: Card, Text: "x"}, "image": {ClientID: "a", Kind: Image}, "no picture": {ClientID: "a", Kind: Image, Image: "CI1"},
		"too long": {ClientID: "a", Kind: Text, Text: strings.Repeat("长", 2001)},
	} {
		var ps core.Problems
		if _, err := s.Send(t.Context(), patient, no, n); !errors.As(err, &ps) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Months are made ahead; those past the retention go, and nothing else.
func TestMonths(t *testing.T) {
	s, no := opened(t)
	ctx := t.Context()
	old := time.Now().AddDate(0, -retention-2, 0)
	kept := time.Now().AddDate(0, -retention+2, 0)
	for _, at := range []time.Time{old, kept} {
		month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
		for _, table := range []string{"chat.message", "chat.picture_bytes"} {
			if _, err := s.Database.Exec(ctx, fmt.Sprintf(`create table %s_%s partition of %s for values from ('%s') to ('%s')`,
				table, month.Format("2006_01"), table, month.Format(time.RFC3339), month.AddDate(0, 1, 0).Format(time.RFC3339))); err != nil {
				t.Fatal(err)
			}
		}
	}
	sent(t, s, patient, no, "a", "您好")
	for range 2 {
		if err := s.months(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"chat.message", "chat.picture_bytes"} {
		var left []string
		if err := s.Database.QueryRow(ctx, `select array_agg(inhrelid::regclass::text order by 1) from pg_inherits where inhparent = $1::regclass`, table).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(left, table+"_"+old.Format("2006_01")) || !slices.Contains(left, table+"_"+kept.Format("2006_01")) || len(left) != 5 {
			t.Errorf("left: %v", left)
		}
	}
	if all, err := s.Sync(ctx, patient, no, 0, 10); err != nil || len(all) != 1 {
		t.Errorf("%d messages, %v", len(all), err)
	}
}
