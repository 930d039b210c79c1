package rabbit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/core"
	"hishub/mocks/servers"
)

func TestIntakeAccepts(t *testing.T) {
	url := servers.RabbitMQ(t)
	l := newLedger()
	stop := run(t, NewIntake(dial(t, url), l.accept))
	platform := newOutsider(t, url)
	answers := platform.listen("#")
	p := payment("IH1", "V1", 100)
	platform.submit(submitted(t, "dongshan", p))
	platform.submit(submitted(t, "dongshan", p)) // again: a duplicate and no refusal
	var told core.Event
	if err := json.Unmarshal(next(t, answers, "the answer to the duplicate").Body, &told); err != nil {
		t.Fatal(err)
	}
	if told.Type != core.EventAccepted || told.Message != 1 || told.Submission != "ref-IH1" || told.Key != "IH1" || told.Kind != core.PaymentSettle {
		t.Errorf("the duplicate was answered with %+v", told)
	}
	eventually(t, "both are taken", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.calls == 2 })
	stop()
	if n := platform.remaining(); n != 0 {
		t.Errorf("%d left in the queue", n)
	}
	if !l.has(1)() {
		t.Error("a duplicate was accepted")
	}
}

func TestIntakeRefuses(t *testing.T) {
	url := servers.RabbitMQ(t)
	l := newLedger()
	stop := run(t, NewIntake(dial(t, url), l.accept))
	platform := newOutsider(t, url)
	refusals := platform.listen("#")
	platform.submit(submitted(t, "dongshan", payment("IH1", "V1", 100)))
	eventually(t, "the first is accepted", l.has(1))

	text := func(change func(m map[string]any)) []byte {
		var m map[string]any
		if err := json.Unmarshal(submitted(t, "dongshan", payment("IH2", "V1", 100)).Body, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		body, _ := json.Marshal(m)
		return body
	}
	message := func(m map[string]any) map[string]any { return m["message"].(map[string]any) }
	for name, refused := range map[string]struct {
		body   []byte
		key    string // routing key without "message.refused"
		ref    string
		fields []string
	}{
		"a wrong field":        {text(func(m map[string]any) { message(m)["amount"] = -7 }), "dongshan", "ref-IH2", []string{"amount"}},
		"several at once":      {text(func(m map[string]any) { message(m)["bills"] = nil; message(m)["patient_no"] = "" }), "dongshan", "ref-IH2", []string{"patient_no", "bills"}},
		"an unknown field":     {text(func(m map[string]any) { message(m)["colour"] = "张三测试" }), "dongshan", "ref-IH2", []string{"colour"}},
		"a name twice":         {bytes.Replace(submitted(t, "dongshan", payment("IH2", "V1", 100)).Body, []byte(`"amount":100`), []byte(`"amount":100,"amount":7`), 1), "dongshan", "ref-IH2", []string{"message.amount"}},
		"a wrong type":         {text(func(m map[string]any) { message(m)["order_id"] = true }), "dongshan", "ref-IH2", []string{"order_id"}},
		"other content":        {text(func(m map[string]any) { message(m)["order_id"] = "IH1"; message(m)["amount"] = 101 }), "dongshan", "ref-IH2", []string{"amount"}},
		"no such hospital":     {text(func(m map[string]any) { m["hospital"] = "xihu" }), "xihu", "ref-IH2", []string{""}},
		"a hospital like a #":  {text(func(m map[string]any) { m["hospital"] = "a.#.b" }), "unknown", "ref-IH2", []string{""}},
		"no hospital":          {text(func(m map[string]any) { delete(m, "hospital") }), "unknown", "ref-IH2", []string{"hospital"}},
		"no such kind":         {text(func(m map[string]any) { m["kind"] = "payment.dance" }), "dongshan", "ref-IH2", []string{"kind"}},
		"a question":           {text(func(m map[string]any) { m["kind"] = "bill.unpaid"; m["message"] = map[string]any{"visit_no": "V1"} }), "dongshan", "ref-IH2", []string{"kind"}},
		"no reference":         {text(func(m map[string]any) { delete(m, "submission") }), "dongshan", "", []string{"submission"}},
		"a long reference":     {text(func(m map[string]any) { m["submission"] = strings.Repeat("r", 300) }), "dongshan", strings.Repeat("r", 200), []string{"submission"}},
		"no message":           {text(func(m map[string]any) { delete(m, "message") }), "dongshan", "ref-IH2", []string{"message"}},
		"an unknown envelope":  {text(func(m map[string]any) { m["prio"] = 1 }), "dongshan", "ref-IH2", []string{"prio"}},
		"not JSON":             {[]byte(`{"hospital": "dongshan", 张三测试`), "unknown", "", []string{""}},
		"nothing":              {nil, "unknown", "", []string{""}},
		"more than the bound":  {text(func(m map[string]any) { m["lane"] = strings.Repeat("张三测试", maxSubmission/12) }), "unknown", "", []string{""}},
		"a lane that is wrong": {text(func(m map[string]any) { m["lane"] = strings.Repeat("V", 65) }), "dongshan", "ref-IH2", []string{"lane"}},
	} {
		t.Run(name, func(t *testing.T) {
			platform.submit(amqp.Publishing{Body: refused.body, MessageId: "m-" + name})
			d := next(t, refusals, "the refusal")
			var r Refusal
			if err := json.Unmarshal(d.Body, &r); err != nil {
				t.Fatal(err)
			}
			if d.RoutingKey != refused.key+".message.refused" || d.CorrelationId != "m-"+name || d.ContentType != "application/json" {
				t.Errorf("routing key %s, correlation ID %s, content type %s", d.RoutingKey, d.CorrelationId, d.ContentType)
			}
			if r.Type != core.EventRefused || r.Submission != refused.ref || r.Class != core.Invalid || r.Reason == "" || r.At.IsZero() {
				t.Errorf("event %+v", r.Event)
			}
			var fields []string
			for _, p := range r.Problems {
				fields = append(fields, p.Field)
			}
			if !slices.Equal(fields, refused.fields) {
				t.Errorf("fields %q, want %q", fields, refused.fields)
			}
			for _, value := range []string{"张三测试", "-7", "0000000001"} {
				if strings.Contains(string(d.Body), value) {
					t.Errorf("the refusal holds the submitted value %s", value)
				}
			}
		})
	}
	stop()
	if n := platform.remaining(); n != 0 {
		t.Errorf("%d left in the queue", n)
	}
	if !l.has(1)() {
		t.Error("something refused was accepted")
	}
}

// TestIntakeKeepsLanes: messages wait side by side for the ledger, those of one
// lane one after the other.
func TestIntakeKeepsLanes(t *testing.T) {
	url := servers.RabbitMQ(t)
	l := newLedger()
	var in = make(chan string, 100)
	release := make(chan struct{})
	l.before = func(ctx context.Context, key string) error {
		in <- key
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	stop := run(t, NewIntake(dial(t, url), l.accept))
	platform := newOutsider(t, url)
	for place := range 5 {
		for lane := range 10 {
			platform.submit(submitted(t, "dongshan", payment(fmt.Sprintf("IH%d-%d", lane, place), fmt.Sprint("V", lane), 100)))
		}
	}
	for range 10 {
		if key := next(t, in, "the heads of all lanes"); !strings.HasSuffix(key, "-0") {
			t.Errorf("%s was taken before the head of its lane", key)
		}
	}
	close(release)
	eventually(t, "all are accepted", l.has(50))
	if l.atOnce != 10 {
		t.Errorf("%d at once, want one for each of 10 lanes", l.atOnce)
	}
	for lane, keys := range l.lanes {
		if !slices.IsSorted(keys) || len(keys) != 5 {
			t.Errorf("lane %s: %v", lane, keys)
		}
	}
	stop()
	if n := platform.remaining(); n != 0 {
		t.Errorf("%d left in the queue", n)
	}
}

// TestIntakeOutlivesTheLedger: while the ledger fails nothing is lost, refused
// or overtaken.
func TestIntakeOutlivesTheLedger(t *testing.T) {
	url := servers.RabbitMQ(t)
	l := newLedger()
	tries := make(chan string, 1000)
	var healthy = make(chan struct{})
	l.before = func(_ context.Context, key string) error {
		select {
		case tries <- key:
		default:
		}
		select {
		case <-healthy:
			return nil
		default:
			return errors.New("connect to the ledger: connection refused")
		}
	}
	stop := run(t, NewIntake(dial(t, url), l.accept))
	platform := newOutsider(t, url)
	refusals := platform.listen("#")
	for i := range 3 {
		platform.submit(submitted(t, "dongshan", payment(fmt.Sprint("IH", i), "V1", 100)))
	}
	for range 3 {
		if key := next(t, tries, "a try"); key != "IH0" {
			t.Errorf("%s was tried while its predecessor waits", key)
		}
	}
	close(healthy)
	eventually(t, "all are accepted", l.has(3))
	if !slices.Equal(l.lanes["V1"], []string{"IH0", "IH1", "IH2"}) {
		t.Errorf("order %v", l.lanes["V1"])
	}
	stop()
	if n := platform.remaining(); n != 0 {
		t.Errorf("%d left in the queue", n)
	}
	select {
	case d := <-refusals:
		t.Errorf("refused: %s", d.Body)
	default:
	}
}

// TestIntakeMovesToAnotherProcess: what one process took and did not finish, the
// next one gets, in order.
func TestIntakeMovesToAnotherProcess(t *testing.T) {
	url := servers.RabbitMQ(t)
	l := newLedger()
	stuck := make(chan string, 10)
	stuckLedger := func(ctx context.Context, _ string, m core.Message, _ string) (core.Accepted, error) {
		stuck <- m.Key()
		<-ctx.Done()
		return core.Accepted{}, ctx.Err()
	}
	stop := run(t, NewIntake(dial(t, url), stuckLedger))
	platform := newOutsider(t, url)
	platform.submit(submitted(t, "dongshan", payment("IH0", "V1", 100)))
	next(t, stuck, "the first process's try")
	run(t, NewIntake(dial(t, url), l.accept)) // waits: one process at a time
	for i := 1; i < 20; i++ {
		platform.submit(submitted(t, "dongshan", payment(fmt.Sprintf("IH%02d", i), "V1", 100)))
	}
	if !l.has(0)() {
		t.Error("two processes take from the queue at once")
	}
	stop()
	eventually(t, "the second process has all", l.has(20))
	if keys := l.lanes["V1"]; !slices.IsSorted(keys) {
		t.Errorf("order %v", keys)
	}
}
