package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/core"
	"hishub/mocks/books"
	"hishub/mocks/resthis"
	"hishub/mocks/servers"
	"hishub/mocks/soaphis"
)

// site is what several "hishub serve" share: the servers, two hospitals with
// their folders applied, and a connection of somebody else's to the broker.
type site struct {
	testing.TB
	env      []string
	database *pgxpool.Pool
	soap     *soaphis.HIS
	rest     *resthis.HIS
	channel  *amqp.Channel
	events   *inbox
	first    *process
}

// newSite has hospitals that take that long for each request.
func newSite(tb testing.TB, latency time.Duration, redis string) *site {
	tb.Helper()
	s := &site{TB: tb}
	url, broker := servers.Postgres(tb), servers.RabbitMQ(tb)
	var err error
	s.soap, err = soaphis.Start(context.Background(), soaphis.Options{Latency: latency})
	ok(tb, err)
	tb.Cleanup(func() { s.soap.Close() })
	s.rest, err = resthis.Start(context.Background(), resthis.Options{Latency: latency})
	ok(tb, err)
	tb.Cleanup(func() { s.rest.Close() })
	s.env = environment("DATABASE_URL="+url, "AMQP_URL="+broker, "REDIS_URL="+redis,
		"HISHUB_KEY_FILE="+filepath.Join(tb.TempDir(), "key"), "HISHUB_CREATE_KEY=true", "HISHUB_LEASE=2s", "HISHUB_OWNERSHIP=1s",
		"DONGSHAN_URL="+s.soap.URL(), "XIHU_URL="+s.rest.URL(), "XIHU_USER=inet_hub", "XIHU_PASSWORD=xihu-test")
	s.env = append(s.env, samplesOf(tb, "dongshan", "xihu", s.env)...)
	s.first = s.serve()
	for _, name := range []string{"dongshan", "xihu"} {
		s.hishub("hospital", "apply", filepath.Join(repository(tb), "mapping", "hospitals", name))
	}
	s.database, err = pgxpool.New(context.Background(), url)
	ok(tb, err)
	tb.Cleanup(s.database.Close)

	conn, err := amqp.Dial(broker)
	ok(tb, err)
	tb.Cleanup(func() { conn.Close() })
	s.channel, err = conn.Channel()
	ok(tb, err)
	ok(tb, s.channel.Confirm(false))
	ok(tb, s.channel.ExchangeDeclare("hishub.events", "topic", true, false, false, false, nil))
	q, err := s.channel.QueueDeclare("", false, true, true, false, nil)
	ok(tb, err)
	ok(tb, s.channel.QueueBind(q.Name, "#", "hishub.events", false, nil))
	deliveries, err := s.channel.Consume(q.Name, "", true, true, false, false, nil)
	ok(tb, err)
	s.events = &inbox{}
	go s.events.fill(deliveries)
	return s
}

// samplesOf are variables that these folders need and env does not set, as in
// their env.sample.
func samplesOf(tb testing.TB, first, second string, env []string) (more []string) {
	tb.Helper()
	for _, name := range []string{first, second} {
		sample, err := readSample(os.DirFS(filepath.Join(repository(tb), "mapping", "hospitals", name)))
		ok(tb, err)
		for _, v := range sortedKeys(sample) {
			if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, v+"=") }) {
				more = append(more, v+"="+sample[v])
			}
		}
	}
	return more
}

func (s *site) serve() *process { return startHub(s.TB, s.env) }

// hishub runs another command on the same servers.
func (s *site) hishub(args ...string) string {
	s.Helper()
	c := exec.Command("hishub", args...)
	c.Env = s.env
	out, err := c.CombinedOutput()
	if err != nil {
		s.Fatalf("hishub %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// submit puts a submission into the queue, durably.
func (s *site) submit(submission map[string]any) {
	s.Helper()
	body, err := json.Marshal(submission)
	ok(s, err)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		back := s.channel.NotifyReturn(make(chan amqp.Return, 1))
		confirm, err := s.channel.PublishWithDeferredConfirm("", "hishub.submit", true, false, amqp.Publishing{Body: body, DeliveryMode: amqp.Persistent})
		ok(s, err)
		taken := confirm.Wait()
		select {
		case <-back: // the queue is not there yet
		default:
			if taken {
				return
			}
		}
		if time.Now().After(end) {
			s.Fatal("nobody made the queue hishub.submit")
		}
	}
}

// prescribe submits the n-th prescription, in a lane of its own.
func (s *site) prescribe(hospital string, n int) string {
	s.Helper()
	rx := written(fmt.Sprintf("RX%04d", n), fmt.Sprintf("V%04d", n), 1)
	rx.PharmacistCode = "P001"
	s.submit(map[string]any{"hospital": hospital, "kind": core.PrescriptionCreate, "submission": "my-" + rx.No, "message": rx})
	return rx.No
}

// told is an event as it came over the broker.
type told struct {
	core.Event
	Problems core.Problems
	route    string
	text     string
}

// inbox collects events.
type inbox struct {
	mu  sync.Mutex
	all []told
}

func (in *inbox) fill(deliveries <-chan amqp.Delivery) {
	for d := range deliveries {
		e := told{route: d.RoutingKey, text: string(d.Body)}
		if err := json.Unmarshal(d.Body, &e); err != nil {
			e.text = "not an event: " + e.text
		}
		in.mu.Lock()
		in.all = append(in.all, e)
		in.mu.Unlock()
	}
}

// of are the events of that type, the first of each message and key only: the
// exchange may repeat them.
func (in *inbox) of(t core.EventType) (found []told) {
	in.mu.Lock()
	defer in.mu.Unlock()
	seen := map[string]bool{}
	for _, e := range in.all {
		id := fmt.Sprint(e.Message, e.Key, e.Submission)
		if e.Type == t && !seen[id] {
			seen[id] = true
			found = append(found, e)
		}
	}
	return found
}

// bookedOnce checks that a hospital has each of these exactly once.
func (s *site) bookedOnce(b books.Export, nos []string) {
	s.Helper()
	times := map[string]int{}
	for _, p := range b.Prescriptions {
		times[p.No]++
	}
	for _, no := range nos {
		if times[no] != 1 {
			s.Errorf("the HIS has %s %d times", no, times[no])
		}
	}
}

func TestServeOverTheBroker(t *testing.T) {
	s := newSite(t, 0, servers.Redis(t))
	var nos []string
	for n := range 5 {
		nos = append(nos, s.prescribe([]string{"dongshan", "xihu"}[n%2], n))
	}
	pay := core.Payment{OrderID: "IH0000", VisitNo: "V0000", PatientNo: "0000024772", PatientName: "张三测试", Bills: []string{"RX0000"}, Amount: 2150,
		Channel: "wechat", ChannelNo: "wx0000", PaidAt: time.Now().Truncate(time.Second)}
	s.submit(map[string]any{"hospital": "dongshan", "kind": core.PaymentSettle, "submission": "my-IH0000", "message": pay})
	within(t, time.Minute, "six deliveries are told", func() bool { return len(s.events.of(core.EventDelivered)) == 6 })
	if n := len(s.events.of(core.EventAccepted)); n != 6 {
		t.Errorf("%d acceptances were told", n)
	}
	at := map[string]int{}
	for i, e := range s.events.of(core.EventDelivered) {
		at[e.Key] = i
		if e.Submission != "my-"+e.Key || e.Receipt == nil || e.Receipt.HisNo == "" || e.route != e.Hospital+".message.delivered" {
			t.Errorf("delivered: %+v over %s", e.Event, e.route)
		}
		if strings.Contains(e.text, "张三") || strings.Contains(e.text, "999999199001010016") {
			t.Error("an event names the patient")
		}
	}
	if at["IH0000"] < at["RX0000"] {
		t.Error("the payment was told before its prescription")
	}
	s.bookedOnce(s.soap.Books(), []string{nos[0], nos[2], nos[4]})
	s.bookedOnce(s.rest.Books(), []string{nos[1], nos[3]})

	// The same again is the same message; other content under its key is refused.
	s.submit(map[string]any{"hospital": "dongshan", "kind": core.PaymentSettle, "submission": "again", "message": pay})
	pay.Amount = 2151
	s.submit(map[string]any{"hospital": "dongshan", "kind": core.PaymentSettle, "submission": "other", "message": pay})
	bad := written("RX9", "V9", 1)
	bad.PatientName, bad.BirthDate, bad.Amount = "", "hunter2", 1
	s.submit(map[string]any{"hospital": "dongshan", "kind": core.PrescriptionCreate, "submission": "bad", "message": bad})
	s.submit(map[string]any{"hospital": "nowhere", "kind": core.PaymentSettle, "submission": "nowhere", "message": pay})
	s.submit(map[string]any{"hospital": "dongshan", "kind": core.PaymentSettle, "submission": "field", "message": map[string]any{"secret": "hunter2"}})
	s.submit(map[string]any{"hospital": "dongshan", "kind": "hunter2", "submission": "kind", "message": map[string]any{}})
	within(t, time.Minute, "five refusals are told", func() bool { return len(s.events.of(core.EventRefused)) == 5 })
	want := map[string][]string{"other": {"amount"}, "bad": {"patient_name", "birth_date", "amount", "pharmacist_code"}, "nowhere": {""}, "field": {"secret"}, "kind": {"kind"}}
	for _, e := range s.events.of(core.EventRefused) {
		var fields []string
		for _, p := range e.Problems {
			fields = append(fields, p.Field)
		}
		slices.Sort(fields)
		slices.Sort(want[e.Submission])
		if !slices.Equal(fields, want[e.Submission]) {
			t.Errorf("%s was refused for %q, want %q", e.Submission, fields, want[e.Submission])
		}
		if strings.Contains(e.text, "hunter2") || strings.Contains(e.text, "张三") {
			t.Errorf("the refusal of %s holds what was submitted: %s", e.Submission, e.text)
		}
	}
	var messages int
	ok(t, s.database.QueryRow(context.Background(), `select count(*) from hub.message`).Scan(&messages))
	if messages != 6 {
		t.Errorf("%d messages are in the ledger", messages)
	}
	if code := s.first.stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if words := s.first.words.last(); strings.Contains(words, "张三") || strings.Contains(words, "hunter2") {
		t.Error("the log holds what was submitted")
	}
}

// SIGTERM with 50 messages under way: what is in flight ends, nothing is lost,
// and the next process goes on at once.
func TestServeStopsInOrder(t *testing.T) {
	s := newSite(t, time.Second, servers.Redis(t))
	var nos []string
	for n := range 50 {
		nos = append(nos, s.prescribe("dongshan", n))
	}
	within(t, time.Minute, "the HIS has begun", func() bool { return len(s.soap.Books().Prescriptions) > 0 })
	began := time.Now()
	if code := s.first.stop(); code != 0 {
		t.Errorf("exit status %d\n%s", code, s.first.words.last())
	}
	if took := time.Since(began); took > 35*time.Second {
		t.Errorf("the stop took %s", took)
	}
	var leased, left int
	ok(t, s.database.QueryRow(context.Background(), `select count(*) filter (where lease_until is not null), count(*) from hub.queue`).Scan(&leased, &left))
	if leased != 0 || left == 0 {
		t.Errorf("%d claims are left of %d messages that wait", leased, left)
	}
	s.serve()
	within(t, 2*time.Minute, "50 deliveries are told", func() bool { return len(s.events.of(core.EventDelivered)) == 50 })
	s.bookedOnce(s.soap.Books(), nos)
	if n := len(s.events.of(core.EventParked)); n != 0 {
		t.Errorf("%d were parked by the stop", n)
	}
}

// Two processes share the hospitals and a HIS login; when the one that works for
// a hospital is killed, the other takes over, and nothing is lost or doubled.
func TestServeTakesOver(t *testing.T) {
	s := newSite(t, 300*time.Millisecond, servers.Redis(t))
	hubs := []*process{s.first, s.serve()}
	share := func() (all map[string]int) {
		all = map[string]int{}
		rows, err := s.database.Query(context.Background(), `select coalesce(process, ''), count(*) from hub.shard where until > clock_timestamp() group by 1`)
		ok(t, err)
		defer rows.Close()
		for rows.Next() {
			var process string
			var n int
			ok(t, rows.Scan(&process, &n))
			all[process] = n
		}
		return all
	}
	within(t, 30*time.Second, "each has half of the shards", func() bool {
		all := share()
		for _, n := range all {
			if n != 8 {
				return false
			}
		}
		return len(all) == 2
	})

	var east, west []string
	for n := range 60 {
		if n%2 == 0 {
			east = append(east, s.prescribe("dongshan", n))
		} else {
			west = append(west, s.prescribe("xihu", n))
		}
	}
	within(t, time.Minute, "the HIS has begun", func() bool { return len(s.soap.Books().Prescriptions) > 3 })
	var owner string
	ok(t, s.database.QueryRow(context.Background(), `select s.process from hub.hospital h join hub.shard s on s.number = h.shard where h.id = 'dongshan'`).Scan(&owner))
	for _, h := range hubs {
		if strings.Contains(owner, fmt.Sprintf("-%d-", h.cmd.Process.Pid)) {
			h.kill()
		}
	}
	within(t, 30*time.Second, "the other has all shards", func() bool { all := share(); return len(all) == 1 && all[owner] == 0 })
	within(t, 2*time.Minute, "60 deliveries are told", func() bool { return len(s.events.of(core.EventDelivered)) == 60 })
	s.bookedOnce(s.soap.Books(), east)
	s.bookedOnce(s.rest.Books(), west)
	if n := len(s.events.of(core.EventParked)); n != 0 {
		t.Errorf("%d were parked by the kill", n)
	}
}

// The login is the hospital's, not the process's: two processes that both ask
// 西湖 log in once.
func TestServeSharesTheLogin(t *testing.T) {
	s := newSite(t, 50*time.Millisecond, servers.Redis(t))
	second := s.serve()
	key := strings.TrimSpace(s.hishub("key", "new", "--name", "test", "--role", "submitter"))
	var all sync.WaitGroup
	for _, h := range []*process{s.first, second} {
		for range 4 {
			all.Go(func() {
				status, answer := s.call(http.MethodPost, h.address+"/v1/hospitals/xihu/questions/payment.status", key, `{"order_id": "IH1", "visit_no": "V1", "patient_no": "0000024772"}`)
				if status != http.StatusOK || !strings.Contains(answer, "absent") {
					t.Errorf("asked: %d %s", status, answer)
				}
			})
		}
	}
	all.Wait()
	logins := 0
	for _, e := range s.rest.Books().Journal {
		if e.Operation == "AUTH" {
			logins++
		}
	}
	if logins != 1 {
		t.Errorf("%d logins", logins)
	}
}

func (s *site) call(method, url, key, body string) (status int, answer string) {
	s.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	ok(s, err)
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	a, err := http.DefaultClient.Do(r)
	ok(s, err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	ok(s, err)
	return a.StatusCode, string(text)
}

// Without Redis the hub is degraded and goes on; with it again it is whole.
func TestServeWithoutRedis(t *testing.T) {
	dir, remove, err := servers.TempDir()
	ok(t, err)
	t.Cleanup(remove)
	redis, err := servers.StartRedis(context.Background(), dir)
	ok(t, err)
	t.Cleanup(redis.Kill)
	s := newSite(t, 0, redis.URL)
	ready := func(want string) func() bool {
		return func() bool {
			status, answer := s.call(http.MethodGet, s.first.address+"/readyz", "", "")
			return status == http.StatusOK && strings.Contains(answer, `"redis":"`+want+`"`) && strings.Contains(answer, `"database":"up"`)
		}
	}
	within(t, 30*time.Second, "ready with Redis", ready("up"))
	redis.Kill()
	within(t, 30*time.Second, "degraded without Redis", ready("degraded"))
	s.prescribe("xihu", 1) // which needs a login
	s.prescribe("dongshan", 2)
	within(t, time.Minute, "two deliveries without Redis are told", func() bool { return len(s.events.of(core.EventDelivered)) == 2 })
	ok(t, redis.Restart(context.Background()))
	within(t, 30*time.Second, "whole again", ready("up"))
	if err := s.first.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the hub did not live through it: %v", err)
	}
}
