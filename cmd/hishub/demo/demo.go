package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/api"
)

// Options for Run.
type Options struct {
	// Binary is the program itself; the hub runs in a process of its own.
	Binary string
	// Once ends after the last step; otherwise it stays until ctx ends.
	Once bool
	// Full uses real RabbitMQ and Redis.
	Full   bool
	Listen string
	// Folder is where finance's report and the certificate are left.
	Folder string
	Out    io.Writer
}

// Run tells the story. The error names the first step that was not as promised.
func Run(ctx context.Context, o Options) (err error) {
	began := time.Now()
	s := &stage{binary: o.Binary}
	defer s.close()
	t := &tale{stage: s, out: o.Out, report: o.Folder, told: map[string]*core.Payment{}}
	t.say("hishub demo: %d hospitals, each with a dialect of its own; nothing lost and nothing done twice\n", len(parties))
	if err := s.build(ctx, o.Full); err != nil {
		return err
	}
	if err := s.start(ctx, o.Listen); err != nil {
		return err
	}
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintf(o.Out, "\n✗ %v\n\nthe hub's last words:\n%s", err, s.lastLog())
		}
	}()
	following, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	t.platform = newPlatform(s.client, s.channel)
	go func() { defer close(ended); t.platform.follow(following) }()
	defer func() { stop(); <-ended }()
	for i, step := range []struct {
		title string
		tell  func(context.Context) error
	}{
		{"every hospital from its folder", t.hospitals},
		{"the same prescription at all of them, its payment and the money back; and what they tell us", t.everyone},
		{"that prescription, as some of them got it", t.dialects},
		{"300 messages to three of them, through the API", t.deliver},
		{"东山 goes down; the others do not notice", t.outage},
		{"东山 recovers", t.recovery},
		{"a HIS that takes the money and then hangs: asked, and charged once", t.hang},
		{"a prescription that the HIS refuses: parked, its payment held, then superseded", t.refusal},
		{"the hospitals' books against the ledger, line by line", t.compare},
		{"a refund at the hospital's window, asked of us by the HIS", t.windowRefund},
		{"a folder is the HIS, too: played, and certified", t.folder},
		{"the night: payment channel, we and HIS, record by record, with repair", t.night},
	} {
		t.say("\n%d  %s\n", i+1, step.title)
		if err := step.tell(ctx); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, step.title, err)
		}
	}
	t.say("\nAll of it held, in %s.\n", time.Since(began).Round(time.Second))
	if o.Once {
		return nil
	}
	t.say("\nLook around:\n  pages     %s/     (log in with the key)\n  API       %s/docs\n  key       %s\n", s.client.base, s.client.base, s.client.key)
	for _, p := range parties {
		t.say("  %-9s books and faults at %s/books\n", p.id, s.his[p.id].base)
	}
	t.say("  channel   books, keys and faults at %s/books\n", s.channel.ControlURL())
	t.say("  hishub    HISHUB_DATA=%s hishub reconcile cases --all\n", filepath.Join(s.dir, "hub"))
	t.say("Ctrl-C ends it.\n")
	<-ctx.Done()
	return nil
}

// tale is the story's state.
type tale struct {
	*stage
	platform    *platform
	out         io.Writer
	report      string // the folder where reports are left
	certificate string // what the folder that was played is certified by

	number int                      // of the next test patient
	shared *core.Prescription       // what every hospital was told
	told   map[string]*core.Payment // one that each of the three knows
	calm   map[string]quantiles
	lost   *core.Payment // money that the channel has and nobody told of
	down   []int64       // what was accepted for 东山 while it was down
}

func (t *tale) say(format string, args ...any) { fmt.Fprintf(t.out, format, args...) }
func (t *tale) held(format string, args ...any) {
	t.say("   ✓ "+format+"\n", args...)
}

func (t *tale) next() int { t.number++; return t.number }

// hospitals are loaded from their folders.
func (t *tale) hospitals(ctx context.Context) error {
	var out struct{ Hospitals []api.Hospital }
	if err := t.client.get(ctx, "/v1/hospitals", &out); err != nil {
		return err
	}
	there := []string{}
	for _, p := range parties {
		i := slices.IndexFunc(out.Hospitals, func(h api.Hospital) bool { return h.ID == p.id })
		if i < 0 {
			return fmt.Errorf("%s is not there", p.id)
		}
		there = append(there, p.id+" "+out.Hospitals[i].Name)
	}
	t.held("%d folders: %s", len(there), strings.Join(there, ", "))
	return nil
}

// deliver sends 100 messages to each hospital: 40 visits (prescription and payment) and
// 20 prescriptions that nobody pays yet.
func (t *tale) deliver(ctx context.Context) error {
	began := time.Now()
	type sent struct {
		hospital string
		kind     core.Kind
		key      string
	}
	var mu sync.Mutex
	var all []sent
	var failed error
	var clerks sync.WaitGroup
	for _, hospital := range names {
		for range 4 {
			var visits []int
			for range 15 {
				visits = append(visits, t.next())
			}
			clerks.Go(func() {
				for i, n := range visits {
					rx := prescriptionOf(n, 1+n%5)
					var err error
					mine := []sent{{hospital, core.PrescriptionCreate, rx.No}}
					if i < 10 {
						pay := paymentOf(rx)
						mine = append(mine, sent{hospital, core.PaymentSettle, pay.OrderID})
						err = t.visit(ctx, hospital, rx, pay)
						mu.Lock()
						t.told[hospital] = pay
						mu.Unlock()
					} else {
						_, err = t.client.submit(ctx, hospital, core.PrescriptionCreate, rx)
					}
					mu.Lock()
					all = append(all, mine...)
					failed = cmp.Or(failed, err)
					mu.Unlock()
				}
			})
		}
	}
	clerks.Wait()
	if failed != nil {
		return failed
	}
	for _, m := range all {
		if err := t.delivered(ctx, m.hospital, m.kind, m.key); err != nil {
			return err
		}
	}
	t.held("%d messages accepted and delivered in %s, each with its hospital's own reference", len(all), time.Since(began).Round(100*time.Millisecond))

	for _, m := range all {
		if err := t.platform.hears(ctx, m.hospital, m.kind, m.key); err != nil {
			return err
		}
	}
	t.held("the platform heard of each of them from the events")
	return nil
}

// visit is a prescription and its payment, as a platform tells of them.
func (t *tale) visit(ctx context.Context, hospital string, rx *core.Prescription, p *core.Payment) error {
	if _, err := t.client.submit(ctx, hospital, core.PrescriptionCreate, rx); err != nil {
		return err
	}
	return t.paid(ctx, hospital, p)
}

// paid has the channel take the money, and the platform tell of it.
func (t *tale) paid(ctx context.Context, hospital string, p *core.Payment) error {
	if err := t.charge(hospital, p); err != nil {
		return err
	}
	t.platform.took(hospital, p)
	_, err := t.client.submit(ctx, hospital, core.PaymentSettle, p)
	return err
}

func decided(m api.MessageDetail) bool { return m.State != "queued" && m.State != "sending" }

// delivered waits until the hospital has a message. Only a void has no reference of the HIS.
func (t *tale) delivered(ctx context.Context, hospital string, kind core.Kind, key string) error {
	found, err := t.client.find(ctx, hospital, kind, key)
	if err != nil {
		return err
	}
	m, err := t.client.until(ctx, found.ID, time.Minute, decided)
	if err != nil {
		return err
	}
	if m.State != "delivered" || kind != core.PrescriptionVoid && (m.Receipt == nil || m.Receipt.HisNo == "") {
		return fmt.Errorf("%s %s %s is %s without the HIS's reference: %s %s", hospital, kind, key, m.State, m.Reason, m.Words)
	}
	return nil
}

// quantiles of a latency.
type quantiles struct{ p50, p99 time.Duration }

// load sends n prescriptions to each of the hospitals, evenly over a time, and
// measures from the submission to the HIS's receipt.
func (t *tale) load(ctx context.Context, n int, every time.Duration, wait []string) (map[string]quantiles, map[string][]int64, error) {
	ids := map[string][]int64{}
	submitted := map[int64]time.Time{}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range n {
		<-tick.C
		for _, hospital := range names {
			at := time.Now()
			id, err := t.client.submit(ctx, hospital, core.PrescriptionCreate, prescriptionOf(t.next(), 3))
			if err != nil {
				return nil, nil, err
			}
			ids[hospital] = append(ids[hospital], id)
			submitted[id] = at
		}
	}
	q := map[string]quantiles{}
	for _, hospital := range wait {
		var took []time.Duration
		for _, id := range ids[hospital] {
			m, err := t.client.until(ctx, id, time.Minute, decided)
			if err != nil {
				return nil, nil, err
			}
			if m.State != "delivered" {
				return nil, nil, fmt.Errorf("message %d of %s is %s: %s", id, hospital, m.State, m.Reason)
			}
			took = append(took, m.DecidedAt.Sub(submitted[id]))
		}
		slices.Sort(took)
		q[hospital] = quantiles{took[len(took)/2], took[len(took)*99/100]}
	}
	return q, ids, nil
}

// outage takes 东山 down and shows that nobody else notices.
func (t *tale) outage(ctx context.Context) error {
	var err error
	if t.calm, _, err = t.load(ctx, 60, 40*time.Millisecond, names); err != nil {
		return err
	}
	if err := t.his["dongshan"].fault(ctx, map[string]any{"fault": "down"}); err != nil {
		return err
	}
	others := names[1:]
	during, ids, err := t.load(ctx, 60, 40*time.Millisecond, others)
	if err != nil {
		return err
	}
	t.down = ids["dongshan"]
	for _, h := range others {
		before := t.calm[h]
		t.say("     %-9s submission to receipt p50 %s p99 %s, with everybody up p50 %s p99 %s\n", h, ms(during[h].p50), ms(during[h].p99), ms(before.p50), ms(before.p99))
		// A wide bound, because this machine does other things too.
		if during[h].p50 > 2*before.p50+50*time.Millisecond {
			return fmt.Errorf("%s became slower while another hospital was down", h)
		}
	}
	waiting := 0
	for _, id := range t.down {
		m, err := t.client.message(ctx, id)
		if err != nil {
			return err
		}
		switch m.State {
		case "queued", "sending":
			waiting++
		default:
			return fmt.Errorf("message %d is %s although its HIS is down", id, m.State)
		}
	}
	t.held("%d messages for 东山 wait, none is lost, none is parked", waiting)
	return nil
}

func (t *tale) recovery(ctx context.Context) error {
	began := time.Now()
	if err := t.his["dongshan"].mend(ctx); err != nil {
		return err
	}
	for _, id := range t.down {
		m, err := t.client.until(ctx, id, 2*time.Minute, decided)
		if err != nil {
			return err
		}
		if m.State != "delivered" {
			return fmt.Errorf("message %d is %s: %s", id, m.State, m.Reason)
		}
	}
	t.held("all %d delivered within %s", len(t.down), time.Since(began).Round(100*time.Millisecond))
	return nil
}

// hang makes the HIS book a payment and never answer.
func (t *tale) hang(ctx context.Context) error {
	rx := prescriptionOf(t.next(), 2)
	pay := paymentOf(rx)
	if err := t.his["dongshan"].fault(ctx, map[string]any{"fault": "commit_then_hang", "operation": "ConfirmSettle", "key": pay.OrderID, "times": 1}); err != nil {
		return err
	}
	if err := t.visit(ctx, "dongshan", rx, pay); err != nil {
		return err
	}
	found, err := t.client.find(ctx, "dongshan", core.PaymentSettle, pay.OrderID)
	if err != nil {
		return err
	}
	m, err := t.client.until(ctx, found.ID, 90*time.Second, decided)
	if err != nil {
		return err
	}
	for _, a := range m.History {
		t.say("     %-8s %-14s %-9s → %s\n", a.Phase, a.Operation, a.Outcome, a.Because)
	}
	if m.State != "delivered" {
		return fmt.Errorf("the payment is %s: %s", m.State, m.Reason)
	}
	if !slices.ContainsFunc(m.History, func(a api.Attempt) bool { return a.Phase == "inquire" }) {
		return errors.New("nobody asked the HIS")
	}
	books, err := t.his["dongshan"].books(ctx)
	if err != nil {
		return err
	}
	charged := 0
	for _, b := range books.Settlements {
		if b.Order == pay.OrderID {
			charged++
		}
	}
	if charged != 1 {
		return fmt.Errorf("the HIS charged %d times", charged)
	}
	t.held("charged once, receipt %s", m.Receipt.HisNo)
	return nil
}

// refusal has a prescription refused; the payment behind it waits until a
// corrected prescription takes its place.
func (t *tale) refusal(ctx context.Context) error {
	rx := prescriptionOf(t.next(), 2)
	if err := t.his["xihu"].fault(ctx, map[string]any{"fault": "reject", "key": rx.No, "times": 1}); err != nil {
		return err
	}
	first, err := t.client.submit(ctx, "xihu", core.PrescriptionCreate, rx)
	if err != nil {
		return err
	}
	if err := t.charge("xihu", paymentOf(rx)); err != nil {
		return err
	}
	pay, err := t.client.submit(ctx, "xihu", core.PaymentSettle, paymentOf(rx))
	if err != nil {
		return err
	}
	parked, err := t.client.until(ctx, first, time.Minute, decided)
	if err != nil {
		return err
	}
	if parked.State != "parked" || parked.Words == "" {
		return fmt.Errorf("the prescription is %s, the HIS's words are %q", parked.State, parked.Words)
	}
	held, err := t.client.message(ctx, pay)
	if err != nil {
		return err
	}
	if held.State != "queued" || held.BlockedBy != first {
		return fmt.Errorf("the payment behind it is %s, blocked by %d", held.State, held.BlockedBy)
	}
	t.held("prescription %s parked: the HIS says %q; its payment is held behind it", rx.No, parked.Words)
	rx.Note = "换规格，已与药房确认"
	var out api.Superseding
	if err := t.client.post(ctx, fmt.Sprintf("/v1/messages/%d/supersede", first), map[string]any{"correction": rx, "note": "pharmacy has it now"}, &out); err != nil {
		return err
	}
	for _, id := range []int64{out.ID, pay} {
		m, err := t.client.until(ctx, id, time.Minute, decided)
		if err != nil {
			return err
		}
		if m.State != "delivered" {
			return fmt.Errorf("message %d is %s: %s", id, m.State, m.Reason)
		}
	}
	t.held("superseded by message %d in the same place of the lane; then the payment went through", out.ID)
	return nil
}

func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }
