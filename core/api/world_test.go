package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/mocks/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// world is the API over a real ledger, with two hospitals "dongshan" and "xihu"
// whose HIS is a function of the test's.
type world struct {
	*testing.T
	store   *postgres.Store
	server  *httptest.Server
	log     *journal
	his     *his
	options Options
	keys    map[string]string // by "role hospital", hospital "" is all
	people  []Caller          // by what follows cs_ in their tokens
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	return newWorldAt(t, servers.Postgres(t), change...)
}

// newWorldAt has its ledger at a server of the test's own.
func newWorldAt(t *testing.T, url string, change ...func(*Options)) *world {
	t.Helper()
	must(t, postgres.Migrate(t.Context(), url))
	w := &world{T: t, log: &journal{}, his: &his{}, keys: map[string]string{}}
	store, err := postgres.Open(t.Context(), postgres.Options{
		URL: url, KeyFile: filepath.Join(t.TempDir(), "key"), CreateKey: true,
		Can: func(_ string, k core.Kind) bool { return k != core.RefundCreate },
	})
	must(t, err)
	t.Cleanup(store.Close)
	w.store = store
	for _, h := range []string{"dongshan", "xihu"} {
		_, err := store.Apply(t.Context(), h, strings.ToUpper(h), []byte("folder"), "digest", "test", "")
		must(t, err)
	}
	questions := &delivery.Questions{Hospitals: w.his}
	place := func(_ context.Context, hospital string) (reconcile.Place, error) {
		if hospital != "dongshan" && hospital != "xihu" {
			return reconcile.Place{}, core.ErrUnknownHospital
		}
		rules := core.DefaultNight()
		rules.FourEyesFrom = 1000
		return reconcile.Place{Zone: time.UTC, NightRules: rules, Can: func(k core.Kind) bool { return k == core.LedgerDetail }}, nil
	}
	w.options = Options{
		Version: "test", Store: store, Questions: questions, Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Nights: &reconcile.Runner{Store: store, Asker: questions, Place: place, Now: standing}, Place: place, now: standing,
		Repairs: &reconcile.Repairs{Store: store, Place: place, Log: slog.New(slog.DiscardHandler)},
		Ready:   []Dependency{{Name: "database", Check: func(ctx context.Context) error { _, err := store.Now(ctx); return err }}},
	}
	w.options.Person = func(_ context.Context, token string) (Caller, error) {
		if n, err := strconv.Atoi(strings.TrimPrefix(token, "cs_")); err == nil && n < len(w.people) {
			return w.people[n], nil
		}
		return Caller{}, ErrUnknownCaller
	}
	for _, c := range change {
		c(&w.options)
	}
	w.server = httptest.NewServer(New(w.options))
	t.Cleanup(w.server.Close)
	return w
}

// standing is the time at which nights are run: days that are too old stay so.
func standing() time.Time { return time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dispatch delivers until the test ends.
func (w *world) dispatch() {
	d := &delivery.Dispatcher{
		Process: "p1", Store: w.store, Hospitals: w.his, Wakes: deaf{}, Policy: delivery.DefaultPolicy, Log: slog.New(slog.DiscardHandler),
		Sweep: 20 * time.Millisecond,
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.Run(ctx) }()
	w.Cleanup(func() { stop(); <-done })
}

type deaf struct{}

func (deaf) Wake(string)                                               {}
func (deaf) Listen(ctx context.Context, _ []int, _ func(string)) error { return nil }

// key of a role, good for a hospital ("" is all).
func (w *world) key(role Role, hospital string) string {
	w.Helper()
	name := string(role) + " " + hospital
	if w.keys[name] == "" {
		text, prefix, hash := NewKey()
		k := postgres.Key{Prefix: prefix, Hash: hash, Name: strings.TrimSpace(name), Role: string(role)}
		if hospital != "" {
			k.Hospitals = []string{hospital}
		}
		_, err := w.store.AddKey(w.Context(), k)
		must(w.T, err)
		w.keys[name] = text
	}
	return w.keys[name]
}

// person signs somebody in who has these grants, and returns the session's token.
func (w *world) person(grants ...Grant) (token string) {
	n := len(w.people)
	w.people = append(w.people, Caller{Account: int64(n + 1), Name: "测试人员", Grants: grants})
	return fmt.Sprintf("cs_%d", n)
}

// answerOfAPI is an answer, read.
type answerOfAPI struct {
	status int
	header http.Header
	text   string
}

func (a answerOfAPI) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.text), v); err != nil {
		t.Fatalf("read %s: %v", a.text, err)
	}
}

// problem reads the answer as one.
func (a answerOfAPI) problem(t testing.TB) (p Problem) {
	t.Helper()
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("%d with Content-Type %q: %s", a.status, ct, a.text)
		return p
	}
	a.into(t, &p)
	if p.Status != a.status {
		t.Errorf("the problem says %d, the answer is %d", p.Status, a.status)
	}
	return p
}

// do makes a request; body may be nil, text or anything that becomes JSON;
// headers are "Name: value".
func (w *world) do(key, method, path string, body any, headers ...string) answerOfAPI {
	w.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		must(w.T, err)
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(w.Context(), method, w.server.URL+path, in)
	must(w.T, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	must(w.T, err)
	defer answer.Body.Close()
	if answer.Header.Get("Content-Type") == "text/event-stream" {
		return answerOfAPI{answer.StatusCode, answer.Header, ""} // it does not end
	}
	text, err := io.ReadAll(answer.Body)
	must(w.T, err)
	return answerOfAPI{answer.StatusCode, answer.Header, string(text)}
}

// submit hands in a message and returns its number.
func (w *world) submit(hospital string, kind core.Kind, body any) int64 {
	w.Helper()
	a := w.do(w.key(Submitter, ""), "POST", "/v1/hospitals/"+hospital+"/messages/"+string(kind), body)
	if a.status != http.StatusAccepted {
		w.Fatalf("submit: %d %s", a.status, a.text)
	}
	var got Accepted
	a.into(w, &got)
	return got.ID
}

// await reads the feed until an event of that type tells of the message.
func (w *world) await(id int64, want core.EventType) core.Event {
	w.Helper()
	after := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		var list struct {
			Events []core.Event
			Next   string
		}
		w.do(w.key(Admin, ""), "GET", "/v1/events?wait=5&after="+after, nil).into(w, &list)
		for _, e := range list.Events {
			if e.Message == id && e.Type == want {
				return e
			}
		}
		after = list.Next
	}
	w.Fatalf("message %d: no %s; log: %s", id, want, w.log.text())
	return core.Event{}
}

// his is both hospitals' HIS: say decides each answer.
type his struct {
	mu   sync.Mutex
	says func(core.Body) core.Verdict
	wire func(core.Body) ([]byte, []byte)
	shut []core.Hours // its working hours; none is always
}

func (h *his) say(f func(core.Body) core.Verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.says = f
}

// Hospital implements delivery.Hospitals.
func (h *his) Hospital(_ context.Context, id string, _ int) (*core.Hospital, error) {
	if id != "dongshan" && id != "xihu" {
		return nil, core.ErrUnknownHospital
	}
	d := &core.Dialect{
		Hospital: id, Zone: time.UTC, Limits: core.Limits{Concurrency: 4}, Operations: map[core.Kind]*core.Operation{}, Open: h.shut,
		Connectors: map[string]core.ConnectorSpec{"default": {Timeout: 2 * time.Second}},
	}
	for _, t := range core.Catalogue {
		if t.Kind != core.RefundStatus {
			d.Operations[t.Kind] = &core.Operation{Kind: t.Kind, Steps: []core.Step{{Call: core.Call{Name: "say", Connector: "default", Mapper: spoken{h}}}}}
		}
	}
	return core.NewHospital(d, 1, map[string]core.Connector{"default": carrier{h}}, nil, nil), nil
}

type spoken struct{ *his }

func (s spoken) Encode(in core.Input) (core.Request, error) {
	return core.Request{Operation: "say", Body: core.List{in.Body}}, nil
}

func (s spoken) Decode(in core.Input, _ core.Response) core.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.says == nil {
		return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Receipt{HisNo: "HIS-" + in.Body.Key()}}
	}
	return s.says(in.Body)
}

type carrier struct{ *his }

func (c carrier) Call(_ context.Context, q core.Request) (core.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var r core.Response
	if c.wire != nil {
		r.Sent, r.Received = c.wire(q.Body.(core.List)[0].(core.Body))
	}
	return r, nil
}
func (carrier) Close() error { return nil }

// journal is the log.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

var noon = time.Date(2026, 1, 5, 4, 0, 0, 0, time.UTC)

func payment(order string) *core.Payment {
	return &core.Payment{
		OrderID: order, VisitNo: "V1", PatientNo: "P1", PatientName: "张三测试", Bills: []string{"B1"}, Amount: 1200, Channel: "wechat", ChannelNo: "wx" + order, PaidAt: noon,
	}
}

func prescription(no string) *core.Prescription {
	return &core.Prescription{
		No: no, VisitNo: "V" + no, PatientNo: "P1", PatientName: "张三测试", Sex: "male", BirthDate: "1990-01-01", IDNo: "999999199001010016", DepartmentCode: "D1", DoctorCode: "DR1",
		PharmacistCode: "PH1", Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "cold"}},
		Items:  []core.Item{{Code: "I1", Name: "drug", Qty: "2", Unit: "box", UnitPrice: "6.00", Amount: 1200, Dose: "1", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3}},
		Amount: 1200, WrittenAt: noon, ValidUntil: noon.Add(72 * time.Hour), Note: "call 13800138000",
	}
}

func messages(id int64) string { return fmt.Sprintf("/v1/messages/%d", id) }

// statuses by "METHOD /path/{x}" as the document lists them.
type documented map[string][]int

func (w *world) documentedStatuses() documented {
	w.Helper()
	var v struct {
		Paths map[string]map[string]struct {
			Responses map[string]any `json:"responses"`
		} `json:"paths"`
	}
	w.do("", "GET", "/openapi.json", nil).into(w, &v)
	all := documented{}
	for path, methods := range v.Paths {
		for method, op := range methods {
			for status := range op.Responses {
				n, err := strconv.Atoi(status)
				must(w.T, err)
				key := strings.ToUpper(method) + " " + path
				all[key] = append(all[key], n)
			}
		}
	}
	if len(all) < 20 {
		w.Fatalf("the document has only %d operations", len(all))
	}
	return all
}

// of finds the operation of a request; nil if there is none.
func (d documented) of(method, path string) []int {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	for op, statuses := range d {
		m, pattern, _ := strings.Cut(op, " ")
		ps := strings.Split(pattern, "/")
		fits := m == method && len(ps) == len(parts)
		for i := 0; fits && i < len(ps); i++ {
			fits = ps[i] == parts[i] || strings.HasPrefix(ps[i], "{")
		}
		if fits {
			return statuses
		}
	}
	return nil
}

// sampleOf is a valid body of a transaction, filled by what its fields are called.
func sampleOf(t core.Transaction) core.Body {
	switch t.Kind {
	case core.PrescriptionCreate:
		return prescription("R1")
	case core.PaymentSettle:
		return payment("A9")
	}
	b := t.Body()
	fill(reflect.ValueOf(b).Elem())
	if l, ok := b.(*core.LedgerQuery); ok {
		l.To = l.From.AddDate(0, 0, 1)
	}
	return b
}

func fill(v reflect.Value) {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch x := field.Addr().Interface().(type) {
		case *time.Time:
			*x = noon
			continue
		case *core.Fen:
			*x = 100
			continue
		}
		switch field.Kind() {
		case reflect.String:
			text := "X1"
			if e, ok := field.Interface().(core.Enumeration); ok {
				text = e.Values()[0]
			}
			switch name {
			case "birth_date", "date", "day", "from", "to":
				text = "2026-01-05"
			case "start", "end":
				text = "09:00"
			case "qty", "unit_price":
				text = "1"
			}
			field.SetString(text)
		case reflect.Int:
			field.SetInt(1)
		case reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
			if e := field.Index(0); e.Kind() == reflect.Struct {
				fill(e)
			} else {
				e.SetString("X1")
			}
		}
	}
}
