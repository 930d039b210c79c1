package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"hishub/core"
)

// load hands messages in. Each has a number of its own over the whole run.
type load struct {
	*stage
	caller *caller
	// to is the hospital of the n-th message, lane its lane; "" is the visit's, which
	// is one of its own.
	to   func(n int64) string
	lane func(n int64) string
	last atomic.Int64 // number of the newest message

	mu   sync.Mutex
	sent map[int64]time.Time // by number, when its request was due
}

// newLoad hands everything in at one hospital, each message in a lane of its own.
func newLoad(s *stage, hospital string) *load {
	l := &load{stage: s, caller: newCaller(s.api, s.keys), sent: map[int64]time.Time{}}
	l.to = func(int64) string { return hospital }
	l.lane = func(int64) string { return "" }
	s.later(l.caller.close)
	return l
}

// closing is a closed loop: each client waits for its answer.
type closing struct {
	clients, count int
	// ahead is how many accepted messages may wait, so that accepting and delivering
	// run at the same time and neither before the other.
	ahead int
	// of are the hospitals that are waited for; nil: all.
	of func(hospital string) bool
}

// accepted is what one phase came to.
type accepted struct {
	from, to int64 // numbers, to excluded
	began    time.Time
	took     []time.Duration // of each submission
}

// submit hands one in and returns how long that took.
func (l *load) submit(ctx context.Context, n int64, due time.Time) (time.Duration, error) {
	l.mu.Lock()
	l.sent[n] = due
	l.mu.Unlock()
	content, err := json.Marshal(prescription(n))
	if err != nil {
		return 0, err
	}
	path := "/v1/hospitals/" + l.to(n) + "/messages/" + string(core.PrescriptionCreate)
	if lane := l.lane(n); lane != "" {
		path += "?lane=" + lane
	}
	began := time.Now()
	status, text, err := l.caller.post(ctx, path, content)
	if err != nil {
		return 0, err
	}
	if status != http.StatusAccepted {
		return 0, fmt.Errorf("submit: %d: %s", status, text)
	}
	return time.Since(began), nil
}

// closed hands messages in and waits until the HIS has all of them.
func (l *load) closed(ctx context.Context, c closing) (accepted, error) {
	clients, count := c.clients, c.count
	if c.of == nil {
		c.of = all
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	first := l.last.Load() + 1
	a := accepted{from: first, to: first + int64(count), began: time.Now()}
	var done, delivered atomic.Int64
	pace := sync.NewCond(&sync.Mutex{})
	wake := func() {
		pace.L.Lock()
		pace.Broadcast()
		pace.L.Unlock()
	}
	defer context.AfterFunc(ctx, wake)()

	took := make([][]time.Duration, clients)
	var working sync.WaitGroup
	for client := range clients {
		working.Go(func() {
			for {
				n := l.last.Add(1)
				if n >= a.to {
					l.last.Add(-1)
					return
				}
				pace.L.Lock()
				for n-first-delivered.Load() >= int64(c.ahead) && ctx.Err() == nil {
					pace.Wait()
				}
				pace.L.Unlock()
				t, err := l.submit(ctx, n, time.Now())
				if err != nil {
					cancel(err)
					return
				}
				done.Add(1)
				took[client] = append(took[client], t)
			}
		})
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for was := int64(0); was < int64(count) && ctx.Err() == nil; {
			before := done.Load()
			waiting, err := l.undelivered(ctx, c.of)
			if err != nil {
				cancel(err)
				return
			}
			// Those accepted since are in "waiting", so this never says too many. It
			// is let out little by little: clients do not come all at the same moment.
			now := max(was, before-int64(waiting))
			const parts = 20
			for i := range int64(parts) {
				delivered.Store(was + (now-was)*(i+1)/parts)
				wake()
				sleep(ctx, 50*time.Millisecond/parts)
			}
			was = now
		}
	}()
	working.Wait()
	<-watched
	for _, t := range took {
		a.took = append(a.took, t...)
	}
	if ctx.Err() != nil {
		return a, context.Cause(ctx)
	}
	return a, nil
}

func all(string) bool { return true }

// open hands in rate messages a second for a time, whether or not the ones
// before were answered, and waits until those hospitals have all of theirs.
func (l *load) open(ctx context.Context, rate int, during time.Duration, of func(hospital string) bool) (accepted, error) {
	first := l.last.Load() + 1
	count := int64(float64(rate) * during.Seconds())
	a := accepted{from: first, to: first + count, began: time.Now()}
	a.took = make([]time.Duration, count)
	errs := make([]error, count)
	var working sync.WaitGroup
	for i := range count {
		due := a.began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		sleep(ctx, time.Until(due))
		if ctx.Err() != nil {
			break
		}
		working.Go(func() { a.took[i], errs[i] = l.submit(ctx, first+i, due) })
	}
	working.Wait()
	l.last.Add(count)
	if err := errors.Join(errs...); err != nil || ctx.Err() != nil {
		return a, errors.Join(err, ctx.Err())
	}
	for {
		waiting, err := l.undelivered(ctx, of)
		if err != nil || waiting == 0 {
			return a, err
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

var drugs = [5]struct{ code, name, unit, price, dose, doseUnit string }{
	{"YP0001", "阿莫西林", "盒", "12.3450", "0.5", "g"},
	{"YP0002", "维生素C", "瓶", "1.7917", "2", "片"},
	{"YP0003", "布洛芬", "盒", "18.6000", "0.3", "g"},
	{"YP0004", "氯雷他定", "盒", "9.9950", "10", "mg"},
	{"YP0005", "蒙脱石散", "盒", "15.2500", "3", "g"},
}

// prescription makes the n-th one: five lines, made up, in a visit of its own.
func prescription(n int64) *core.Prescription {
	now := time.Now().UTC().Truncate(time.Second)
	p := &core.Prescription{
		No: key(n), VisitNo: fmt.Sprintf("V%08d", n), PatientNo: fmt.Sprintf("%010d", n), PatientName: "测试甲", Sex: "female", BirthDate: "1990-01-01",
		DepartmentCode: "D01", DoctorCode: "0007", DoctorName: "测试医生", PharmacistCode: "P001", Category: "western",
		Diagnoses: []core.Diagnosis{{Code: "J02.900", Name: "急性咽炎"}},
		WrittenAt: now, ValidUntil: now.Add(24 * time.Hour),
	}
	for i, d := range drugs {
		qty := []string{"1", "2", "12"}[(int(n)+i)%3]
		amount, err := core.LineAmount(qty, d.price)
		if err != nil {
			panic(err)
		}
		p.Items = append(p.Items, core.Item{Code: d.code, Name: d.name, Qty: qty, Unit: d.unit, UnitPrice: d.price, Amount: amount,
			Dose: d.dose, DoseUnit: d.doseUnit, Frequency: "tid", Route: "oral", Days: 3})
		p.Amount += amount
	}
	return p
}

func key(n int64) string { return fmt.Sprintf("RX%08d", n) }
