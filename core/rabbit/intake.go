package rabbit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/core"
)

const (
	// SubmitQueue is a durable quorum queue. One process at a time consumes it,
	// or two would mix up the order of a lane.
	SubmitQueue = "hishub.submit"
	// prefetch is how many submissions may wait for the ledger at once: enough
	// for its group commit to gather them.
	prefetch = 256
	// maxSubmission bounds a submission, in bytes.
	maxSubmission = 256 << 10
	// handBack is how long the ledger is tried before the submissions go back to
	// the queue, from which another process may have more luck.
	handBack = 30 * time.Second
)

// Accept puts a message into the ledger, as core.Outbox does, with the
// submitter's own reference. It returns once that is durable, and must take the
// same message again as a duplicate.
type Accept func(ctx context.Context, hospital string, m core.Message, submission string) (core.Accepted, error)

// Intake takes messages from the queue hishub.submit:
//
//	{"hospital": "dongshan", "kind": "payment.settle", "lane": "V1", "submission": "my-4711", "message": {...}}
//
// lane is optional, submission the submitter's reference that comes back in
// every event, message the canonical body of the kind. A submission leaves the
// queue once the ledger has it, or once an event message.refused says why not. One
// that the ledger had before is answered by message.accepted again: the first
// answer may have been lost with the broker.
// Those of one lane are taken in order, others side by side.
type Intake struct {
	connection *Connection
	accept     Accept
}

// NewIntake makes an Intake. The errors that core.Outbox names refuse the
// message; any other one is ours, and the message is tried again until it succeeds.
func NewIntake(c *Connection, accept Accept) *Intake {
	return &Intake{connection: c, accept: accept}
}

// Run takes submissions until ctx or the connection ends.
func (in *Intake) Run(ctx context.Context) { in.connection.always(ctx, "intake", in.take) }

func (in *Intake) take(ctx context.Context, ch *amqp.Channel) error {
	var deliveries <-chan amqp.Delivery
	err := in.connection.call(ctx, func() (err error) {
		deliveries, err = consumeSubmissions(ch)
		return err
	})
	if err != nil {
		return err
	}
	var lanes lanes
	defer lanes.wait() // the next channel brings the same messages again
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case d, ok := <-deliveries:
			if !ok {
				return errConsumerGone
			}
			s := readSubmission(d)
			lanes.run(s.place(), func() {
				if err := in.settle(ctx, ch, s); err != nil {
					stop(err)
				}
			})
		}
	}
}

func consumeSubmissions(ch *amqp.Channel) (<-chan amqp.Delivery, error) {
	if err := declareEvents(ch); err != nil {
		return nil, err
	}
	_, err := ch.QueueDeclare(SubmitQueue, true, false, false, false, amqp.Table{
		"x-queue-type":             "quorum",
		"x-single-active-consumer": true,
		// From RabbitMQ 4 on a quorum queue throws a message away after 20
		// deliveries unless told otherwise; 3.x knows no word for "never".
		"x-delivery-limit": 1 << 30,
	})
	if err != nil {
		return nil, err
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return nil, err
	}
	return ch.Consume(SubmitQueue, "", false, false, false, false, nil)
}

// settle answers one submission: the ledger has it, or an event says why not,
// and only then it leaves the queue.
func (in *Intake) settle(ctx context.Context, ch *amqp.Channel, s *submission) error {
	problems := s.problems
	var got core.Accepted
	if problems == nil {
		var err error
		if got, problems, err = in.enter(ctx, s); err != nil {
			return err
		}
	}
	if problems != nil || got.Duplicate {
		event, err := s.answer(got, problems)
		if err != nil {
			return err
		}
		if err := in.connection.publish(ctx, ch, []outgoing{event}); err != nil {
			return fmt.Errorf("publish the answer to a submission: %w", err)
		}
	}
	return s.delivery.Ack(false)
}

// enter tries until the ledger has decided. It holds its lane meanwhile, which a
// message given back to the queue would not.
func (in *Intake) enter(ctx context.Context, s *submission) (core.Accepted, core.Problems, error) {
	began := time.Now()
	for failures := 0; ; failures++ {
		if ctx.Err() != nil {
			return core.Accepted{}, nil, context.Cause(ctx)
		}
		got, err := in.accept(ctx, s.Hospital, s.message, s.Submission)
		if err == nil {
			return got, nil, nil
		}
		if problems := refusedFor(err); problems != nil {
			return core.Accepted{}, problems, nil
		}
		if time.Since(began) > handBack {
			return core.Accepted{}, nil, fmt.Errorf("accept a submission: %w", err)
		}
		if failures == 0 && ctx.Err() == nil {
			in.connection.log.Warn("a submission waits for the ledger", "hospital", s.Hospital, "kind", s.Kind, "cause", err)
		}
		pause(ctx, failures)
	}
}

func refusedFor(err error) core.Problems {
	var problems core.Problems
	var conflict *core.Conflict
	switch {
	case errors.As(err, &problems):
		return problems
	case errors.As(err, &conflict):
		for _, field := range conflict.Fields {
			problems = append(problems, core.Problem{Field: field, What: "differs from what was accepted under this key before"})
		}
		if problems == nil {
			problems = core.Problems{{What: "differs from what was accepted under this key before"}}
		}
		return problems
	}
	for _, final := range []error{core.ErrUnknownHospital, core.ErrCannot} {
		if errors.Is(err, final) {
			return core.Problems{{What: final.Error()}}
		}
	}
	return nil
}

// submission is one message of the queue.
type submission struct {
	Hospital   string          `json:"hospital"`
	Kind       core.Kind       `json:"kind"`
	Lane       string          `json:"lane"`
	Submission string          `json:"submission"`
	Message    json.RawMessage `json:"message"`

	delivery amqp.Delivery
	message  core.Message
	problems core.Problems // of what can be seen without the ledger
}

func readSubmission(d amqp.Delivery) *submission {
	s := &submission{delivery: d}
	if len(d.Body) > maxSubmission {
		s.problems = core.Problems{{What: fmt.Sprintf("larger than %d bytes", maxSubmission)}}
		return s
	}
	err := core.CheckNames(d.Body)
	if err == nil {
		err = core.DecodeStrict(d.Body, s)
	}
	if err != nil {
		// What can be read of it still says whose it is.
		_ = json.Unmarshal(d.Body, s)
		s.problems = problemsOf(err)
	} else {
		s.problems = s.check()
	}
	return s
}

// check looks at the envelope and decodes the message.
func (s *submission) check() (problems core.Problems) {
	for _, field := range []struct{ name, value string }{
		{"hospital", s.Hospital}, {"kind", string(s.Kind)}, {"submission", s.Submission}, {"message", string(s.Message)},
	} {
		if field.value == "" {
			problems = append(problems, core.Problem{Field: field.name, What: "missing"})
		}
	}
	if len(s.Submission) > maxReference {
		problems = append(problems, core.Problem{Field: "submission", What: fmt.Sprintf("longer than %d bytes", maxReference)})
	}
	if s.Kind == "" || s.Message == nil {
		return problems
	}
	body, err := core.DecodeBody(s.Kind, s.Message)
	if err != nil {
		return append(problems, problemsOf(err)...)
	}
	s.message = core.Message{Kind: s.Kind, Body: body, Lane: s.Lane}
	return problems
}

func problemsOf(err error) core.Problems {
	var problems core.Problems
	if errors.As(err, &problems) {
		return problems
	}
	return core.Problems{{What: "cannot be read"}}
}

// place is the lane over all hospitals; "" for what has none.
func (s *submission) place() string {
	if s.problems != nil {
		return ""
	}
	return s.Hospital + "\n" + s.message.LaneOrDefault()
}

// maxReference bounds what of a refused submission is sent back, in bytes.
const maxReference = 200

// Refusal is the event that answers a submission which never became a message.
// Problems name fields and hold no values.
type Refusal struct {
	core.Event
	Problems core.Problems `json:"problems"`
}

// answer keeps the reference, by which the submitter knows which one it was;
// the AMQP message ID comes back as the correlation ID, for one so broken that
// no reference could be read.
func (s *submission) answer(got core.Accepted, problems core.Problems) (outgoing, error) {
	e := core.Event{Type: core.EventAccepted, Hospital: routable(s.Hospital), Message: got.ID, At: time.Now(), Submission: bounded(s.Submission)}
	if problems != nil {
		e.Type, e.Class, e.Reason = core.EventRefused, core.Invalid, problems.Error()
	}
	if _, known := core.Lookup(s.Kind); known {
		e.Kind = s.Kind
	}
	if s.message.Body != nil {
		e.Key = bounded(s.message.Key())
	}
	var content any = e
	if problems != nil {
		content = Refusal{e, problems}
	}
	out, err := write(&e, content)
	out.CorrelationId = s.delivery.MessageId
	return out, err
}

func bounded(s string) string { return s[:min(len(s), maxReference)] }

// routable is the hospital as a word of a routing key, "unknown" if it cannot
// be one.
func routable(hospital string) string {
	if hospital == "" || len(hospital) > 64 || strings.ContainsFunc(hospital, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return "unknown"
	}
	return hospital
}

// lanes runs what is in one lane in order and lanes side by side. The zero value
// is ready.
type lanes struct {
	mu      sync.Mutex
	waiting map[string][]func() // an entry for each lane at work
	all     sync.WaitGroup
}

// run runs f after what was put into its lane before; the lane "" has no order.
func (l *lanes) run(lane string, f func()) {
	if lane == "" {
		l.all.Go(f)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if queue, busy := l.waiting[lane]; busy {
		l.waiting[lane] = append(queue, f)
		return
	}
	if l.waiting == nil {
		l.waiting = map[string][]func(){}
	}
	l.waiting[lane] = nil
	l.all.Go(func() {
		for f != nil {
			f()
			f = l.next(lane)
		}
	})
}

func (l *lanes) next(lane string) (f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.waiting[lane]
	if len(queue) == 0 {
		delete(l.waiting, lane)
		return nil
	}
	l.waiting[lane] = queue[1:]
	return queue[0]
}

func (l *lanes) wait() { l.all.Wait() }
