package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Body is the canonical content of a message or question: one of the types
// named in the Catalogue, always as a pointer. A text field that names or
// describes a patient has the struct tag personal, with how it is masked: name,
// number, date or text (free text that may hold any of them).
type Body interface {
	// Validate returns Problems, or nil.
	Validate() error
	// Key is the business key: the same at every attempt and unique per hospital
	// and kind. It always de-duplicates.
	Key() string
	// Lane is the default lane: the visit, or the order number where there is no
	// visit, so that a payment never overtakes the prescription it pays.
	Lane() string
}

// Message is a fact that a hospital's HIS must be told exactly once.
type Message struct {
	Kind Kind
	Body Body
	// Lane overrides the body's default lane when set. Order is kept inside a lane.
	Lane string
	// Test marks a message of the synthetic clinic; nights leave it out.
	Test bool
}

// Key is the business key of the message.
func (m Message) Key() string { return m.Body.Key() }

// LaneOrDefault is the lane in which the message keeps its place.
func (m Message) LaneOrDefault() string {
	if m.Lane != "" {
		return m.Lane
	}
	return m.Body.Lane()
}

// Validate returns all Problems of the message at once, or nil.
func (m Message) Validate() error {
	t, ok := Lookup(m.Kind)
	if !ok || t.Mode != Write && t.Mode != Record && t.Mode != ToChannel {
		return Problems{{Field: "kind", What: "not a kind of message; see the catalogue"}}
	}
	var ps Problems
	if len(m.Lane) > 64 {
		ps = append(ps, Problem{"lane", "longer than 64 characters"})
	}
	switch err := m.Body.Validate().(type) {
	case nil:
	case Problems:
		ps = append(ps, err...)
	default:
		return err
	}
	return ps.OrNil()
}

// DecodeBody reads the canonical JSON of a message of that kind. It refuses
// unknown fields, and its errors name the field, never the value.
func DecodeBody(kind Kind, data []byte) (Body, error) {
	t, ok := Lookup(kind)
	if !ok {
		return nil, Problems{{Field: "kind", What: "not in the catalogue"}}
	}
	body := t.Body()
	if err := DecodeStrict(data, body); err != nil {
		return nil, err
	}
	return body, nil
}

// DecodeStrict reads JSON into v, refusing unknown fields and trailing data;
// its errors are Problems that name the field, never the value.
func DecodeStrict(data []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return Problems{decodeProblem(err)}
	}
	if _, err := d.Token(); err != io.EOF {
		return Problems{{Field: "", What: "more than one JSON document"}}
	}
	return nil
}

func decodeProblem(err error) Problem {
	switch err := err.(type) {
	case *json.UnmarshalTypeError:
		found, _, _ := strings.Cut(err.Value, " ") // "number 12.5" names the value
		return Problem{err.Field, "wrong type: " + found + " where " + err.Type.String() + " is expected"}
	case *json.SyntaxError:
		return Problem{"", fmt.Sprintf("not JSON at byte %d", err.Offset)}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return Problem{strings.Trim(name, `"`), "no such field"}
	}
	return Problem{"", "cannot be read as JSON of this kind (is each time RFC 3339 with its zone?)"}
}

// Outbox is where a fact and the duty to tell it are saved together.
type Outbox interface {
	// Enqueue accepts a message for a hospital. When it returns nil inside a
	// caller's transaction, the message is accepted when that transaction commits.
	// The same key and content again is the same message (Duplicate). Errors:
	// Problems; ErrUnknownHospital; ErrCannot when the hospital's dialect has no
	// such transaction; *Conflict when the key was used for other content.
	Enqueue(ctx context.Context, hospital string, m Message) (Accepted, error)
}

// Errors of an Outbox.
var (
	ErrUnknownHospital = errors.New("no such hospital")
	ErrCannot          = errors.New("this hospital's HIS has no such transaction")
)

// Accepted names an accepted message.
type Accepted struct {
	ID        int64
	Duplicate bool
}

// Conflict is returned when a business key comes again with other content.
type Conflict struct {
	ID int64
	// Fields are the paths that differ, without values.
	Fields []string
}

func (c *Conflict) Error() string {
	return "the key was used before with other content; these fields differ: " + strings.Join(c.Fields, ", ")
}

// Event tells what became of a message. Consumers must expect repeats.
type Event struct {
	// Cursor resumes the feed after this event.
	Cursor   string    `json:"cursor"`
	Type     EventType `json:"type"`
	Hospital string    `json:"hospital"`
	Message  int64     `json:"message"`
	Kind     Kind      `json:"kind"`
	Key      string    `json:"key"`
	At       time.Time `json:"at"`
	// Class and Reason are set for parked and cancelled ones, in our words;
	// Words are the HIS's own, which only staff may see unless ShowPatient.
	Class       Class    `json:"class,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	Words       string   `json:"words,omitempty"`
	ShowPatient bool     `json:"show_patient,omitempty"`
	Receipt     *Receipt `json:"receipt,omitempty"`
	// Submission echoes the submitter's own reference for messages that came by
	// the intake queue.
	Submission string `json:"submission,omitempty"`
	// Inbound is the number of what a HIS told us; Message is 0 then, and the type
	// is "inbound." and the kind. Result is set when it was decided.
	Inbound int64 `json:"inbound,omitempty"`
	// Incident is the number of an incident; Message is 0 and Kind is empty then.
	Incident int64 `json:"incident,omitempty"`
	// Replay is the number of a replay; Message is 0 and Kind is empty then.
	Replay int64       `json:"replay,omitempty"`
	Result ResultState `json:"result,omitempty" enum:"done,refused"`
}

// EventType names what happened.
type EventType string

const (
	EventAccepted   EventType = "message.accepted"
	EventRefused    EventType = "message.refused" // by the intake: it never became a message
	EventDelivered  EventType = "message.delivered"
	EventParked     EventType = "message.parked"
	EventCancelled  EventType = "message.cancelled"
	EventRefundNow  EventType = "message.refund_now" // the HIS refused for good and the money must go back
	EventSuperseded EventType = "message.superseded"
	// EventDecided follows the arrival of what is not a bare fact: it was done or refused.
	EventDecided EventType = "inbound.decided"
	// Of a hospital that needs a look, and that no longer does: the event's Key says
	// what kind of trouble, its Reason how it stands.
	EventIncidentOpened   EventType = "incident.opened"
	EventIncidentResolved EventType = "incident.resolved"
	// Of a run of a night that ended: the event's Key is the day, its Reason says how
	// it stands, "3 differences". Late: somebody's books are not there yet, and another
	// run follows by itself.
	EventNightDone   EventType = "night.done"
	EventNightLate   EventType = "night.late"
	EventNightFailed EventType = "night.failed"
	// Of a hospital's part of a replay: ended, or stopped by itself because too many
	// were parked again. The event's Replay is its number, its Reason how it stands.
	EventReplayEnded   EventType = "replay.ended"
	EventReplayStopped EventType = "replay.stopped"
)

// EventArrived is the event of something that a HIS told us.
func EventArrived(kind Kind) EventType { return EventType("inbound." + string(kind)) }

// Feed reads events in the order in which they became visible.
type Feed interface {
	// Read returns up to limit events after the cursor ("" is the beginning), and
	// the cursor to go on from, which is never empty once anything was read.
	Read(ctx context.Context, after string, limit int) (events []Event, next string, err error)
}
