package appointment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/patient"
	"hishub/platform/schedule"
)

// TicketState is what became of a wish.
type TicketState string

// The states.
const (
	Waiting TicketState = "waiting" // in the line
	Locking TicketState = "locking" // a place is held; the HIS is asked for it
	Granted TicketState = "held"    // an appointment is held, or for nothing and confirmed
	Refused TicketState = "refused"
)

// TicketStates is the machine.
var TicketStates = clinic.States[TicketState]{
	Waiting: {Locking, Granted, Refused},
	Locking: {Granted, Refused},
}

// Reason why a wish was refused.
type Reason string

// The reasons.
const (
	Full        Reason = "full"
	NotReleased Reason = "not_released"
	Off         Reason = "stopped"
	Over        Reason = "over"
	NoSession   Reason = "no_session"
	HasOne      Reason = "has_one"     // this patient has a place in this session
	Blacklisted Reason = "blacklisted" // missed too many
	DailyLimit  Reason = "daily_limit" // the account asked for too many today
	RefusedHIS  Reason = "his_refused"
	SilentHIS   Reason = "his_silent" // the HIS did not say yes in time
	TakenBack   Reason = "taken_back"
	Impossible  Reason = "impossible" // what is known of the session or the patient does not do; the log says why
)

// Ticket is a wish for a place, and its answer.
type Ticket struct {
	No       string      `json:"no"`
	Hospital string      `json:"hospital"`
	Session  string      `json:"session"`
	Patient  string      `json:"patient" doc:"our number"`
	Channel  string      `json:"channel"`
	State    TicketState `json:"state" enum:"waiting,locking,held,refused"`
	Place    int         `json:"place,omitempty" doc:"in the line while it waits; 1 is next, 1000 is 1000 or more"`
	Reason   Reason      `json:"reason,omitempty" enum:"full,not_released,stopped,over,no_session,has_one,blacklisted,daily_limit,his_refused,his_silent,taken_back,impossible"`
	// Appointment that is held, or that the HIS is asked for.
	Appointment string     `json:"appointment,omitempty"`
	Order       string     `json:"order,omitempty" doc:"to be paid"`
	Created     time.Time  `json:"created_at"`
	Answered    *time.Time `json:"answered_at,omitempty"`

	account int64
	seq     int64
	lane    string
	him     him
}

// Wish is what a patient asks for.
type Wish struct {
	Session string `json:"session" minLength:"1" maxLength:"100" doc:"our number of the clinic session"`
	Patient string `json:"patient" minLength:"1" maxLength:"64" doc:"our number"`
	Channel string `json:"channel,omitempty" maxLength:"20" default:"app" doc:"app, wechat, …: whose quota"`
	Request string `json:"request" minLength:"8" maxLength:"64" doc:"the client's own id of this wish; the same again is the same ticket"`
}

// Request writes a wish down; it is answered soon. The same request again gives the same
// ticket.
func (s *Service) Request(ctx context.Context, p clinic.Person, hospital string, w Wish) (Ticket, error) {
	t, err := s.request(ctx, p, hospital, w)
	if err != nil {
		return t, fmt.Errorf("ask for a place: %w", err)
	}
	return t, nil
}

func (s *Service) request(ctx context.Context, p clinic.Person, hospital string, w Wish) (Ticket, error) {
	if w.Channel == "" {
		w.Channel = "app"
	}
	v, err := s.Schedule.Get(ctx, hospital, w.Session)
	if err != nil {
		return Ticket{}, err
	}
	who, err := s.whom(ctx, p, hospital, w.Patient, v.Source)
	if err != nil {
		return Ticket{}, err
	}
	no := clinic.NewNumber("TK", time.Now())
	sealed, err := s.sealHim(who, no)
	if err != nil {
		return Ticket{}, err
	}
	lane := v.Doctor
	tag, err := s.Database.Exec(ctx, `insert into appointment.ticket (no, hospital, session, lane, account, patient, channel, request, him, state)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (account, request) do nothing`,
		no, hospital, w.Session, lane, p.Account, w.Patient, w.Channel, w.Request, sealed, Waiting)
	if err != nil {
		return Ticket{}, err
	}
	t, err := s.ticket(ctx, `account = $1 and request = $2`, p.Account, w.Request)
	switch {
	case err != nil:
		return t, err
	case t.Hospital != hospital || t.Session != w.Session || t.Patient != w.Patient || t.Channel != w.Channel:
		return Ticket{}, fmt.Errorf("%w: this request was made before, for something else", clinic.ErrRule)
	case tag.RowsAffected() > 0:
		// Not there, the sweep answers it.
		if err := s.Queue.Publish(ctx, hospital+"/"+lane, no); err != nil {
			s.Log.Warn("a ticket waits for the sweep", "ticket", no, "cause", err)
		}
	}
	return t, nil
}

// whom an account books for. A HIS must know him before it can be told.
func (s *Service) whom(ctx context.Context, p clinic.Person, hospital, no string, source schedule.Source) (him, error) {
	r, err := s.Patients.Bookable(ctx, p.Account, no)
	if err != nil {
		return him{}, err
	}
	known, err := s.Patients.Identity(ctx, hospital, no)
	if err != nil && (source == schedule.HIS || !errors.Is(err, patient.ErrNoIdentity)) {
		return him{}, err
	}
	return him{No: known.PatientNo, Name: r.Name}, nil
}

// ticketColumns; place counts only while it waits.
const ticketColumns = `no, hospital, session, patient, channel, state, reason, appointment, created_at, answered_at, account, seq, lane, him,
	coalesce((select a.order_no from appointment.appointment a where a.no = t.appointment), ''),
	case when state = 'waiting' then (select count(*) from (select from appointment.ticket b where b.hospital = t.hospital and b.lane = t.lane and b.state = 'waiting' and b.seq <= t.seq limit 1000) ahead) else 0 end`

func (s *Service) ticket(ctx context.Context, where string, args ...any) (Ticket, error) {
	rows, err := s.Database.Query(ctx, `select `+ticketColumns+` from appointment.ticket t where `+where, args...)
	if err != nil {
		return Ticket{}, fmt.Errorf("read ticket: %w", err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (t Ticket, err error) {
		var sealed []byte
		if err := row.Scan(&t.No, &t.Hospital, &t.Session, &t.Patient, &t.Channel, &t.State, &t.Reason, &t.Appointment, &t.Created, &t.Answered, &t.account, &t.seq, &t.lane, &sealed,
			&t.Order, &t.Place); err != nil {
			return t, err
		}
		t.him, err = s.openHim(sealed, t.No)
		return t, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return t, clinic.ErrNotFound
	}
	return t, err
}

// OwnTicket is a ticket of an account's own; another's does not exist for it.
func (s *Service) OwnTicket(ctx context.Context, account int64, no string) (Ticket, error) {
	return s.ticket(ctx, `account = $1 and no = $2`, account, no)
}

// Answer a ticket; one that has its answer is left as it is. It returns once the answer is
// durable.
func (s *Service) Answer(ctx context.Context, no string) error {
	t, err := s.ticket(ctx, `no = $1`, no)
	if errors.Is(err, clinic.ErrNotFound) || err == nil && t.State != Waiting {
		return nil
	} else if err != nil {
		return err
	}
	rules, err := s.Settings(ctx, t.Hospital)
	if err != nil {
		return err
	}
	place, err := s.Place(ctx, t.Hospital)
	if errors.Is(err, clinic.ErrNotFound) {
		return s.refuse(ctx, t, NoSession)
	} else if err != nil {
		return err
	}
	// What is free is first for those who wait for it, whatever channel they come by.
	var awaited bool
	if err := s.Database.QueryRow(ctx, `select exists (select from appointment.waitlist where hospital = $1 and session = $2 and state = 'waiting')`, t.Hospital, t.Session).Scan(&awaited); err != nil {
		return fmt.Errorf("answer ticket %s: %w", no, err)
	}
	if awaited {
		if err := s.promote(ctx, t.Hospital, t.Session); err != nil {
			s.Log.Error("who waits for a place has to wait", "session", t.Session, "error", err)
		}
	}
	err = s.Transact(ctx, t.Hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		var still TicketState
		if err := tx.QueryRow(ctx, `select state from appointment.ticket where no = $1 for update`, no).Scan(&still); err != nil || still != Waiting {
			return err
		}
		a, why, err := s.hold(ctx, tx, outbox, place, rules, want{hospital: t.Hospital, session: t.Session, account: t.account, patient: t.Patient, channel: t.Channel, him: t.him})
		if err != nil {
			return err
		}
		to := Granted
		switch {
		case why != "":
			to = Refused
		case a.State == Requested:
			to = Locking
		}
		if err := s.answer(ctx, tx, `no = $5`, to, why, a.No, no); err != nil {
			return err
		}
		return s.refuseAll(ctx, tx, t, why)
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	err = fmt.Errorf("answer ticket %s: %w", no, err)
	if lasting(err) {
		s.Log.Error("a ticket cannot be granted", "error", err)
		return s.refuse(ctx, t, Impossible)
	}
	s.Log.Error("a ticket waits for the sweep", "error", err)
	return err
}

// lasting reports an error that trying again does not mend: it would hold up the whole lane.
func lasting(err error) bool {
	var ps core.Problems
	var conflict *core.Conflict
	for _, is := range []error{clinic.ErrRule, clinic.ErrState, core.ErrCannot, core.ErrUnknownHospital} {
		if errors.Is(err, is) {
			return true
		}
	}
	return errors.As(err, &ps) || errors.As(err, &conflict)
}

func (s *Service) refuse(ctx context.Context, t Ticket, why Reason) error {
	return s.Transact(ctx, t.Hospital, func(tx pgx.Tx, _ core.Outbox) error {
		return s.answer(ctx, tx, `no = $5 and state = 'waiting'`, Refused, why, "", t.No)
	})
}

// answer writes an answer down, and tells it once that is committed.
func (s *Service) answer(ctx context.Context, tx pgx.Tx, where string, to TicketState, why Reason, appointment string, args ...any) error {
	rows, err := tx.Query(ctx, `update appointment.ticket set state = $1, reason = $2, appointment = coalesce(nullif($3, ''), appointment), answered_at = case when $4 then clock_timestamp() end
		where `+where+` returning account, no`, append([]any{to, why, appointment, to != Locking}, args...)...)
	if err != nil {
		return err
	}
	type told struct {
		Account int64
		No      string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[told])
	if err != nil {
		return err
	}
	for _, t := range all {
		s.tell(tx, t.Account, news{Type: "ticket", No: t.No, State: string(to), Reason: string(why), Appointment: appointment})
	}
	return nil
}

// refuseAll tells those who wait for the same: what is true of the session now is true
// for all of them. Those that somebody answers at this moment are his.
func (s *Service) refuseAll(ctx context.Context, tx pgx.Tx, t Ticket, why Reason) error {
	channel := ""
	switch why {
	case Full:
		channel = t.Channel
	case Off, Over, NotReleased, NoSession:
	default:
		return nil
	}
	return s.answer(ctx, tx, `no in (select no from appointment.ticket where hospital = $5 and session = $6 and state = 'waiting' and ($7 = '' or channel = $7)
		order by seq limit 500 for update skip locked)`, Refused, why, "", t.Hospital, t.Session, channel)
}

// sweepAfter is how long the queue has for a ticket.
const sweepAfter = 3 * time.Second

// Sweep answers what the queue lost.
func (s *Service) Sweep(ctx context.Context) error { return s.sweep(ctx, sweepAfter) }

func (s *Service) sweep(ctx context.Context, after time.Duration) error {
	rows, err := s.Database.Query(ctx, `select hospital || '/' || lane, no from appointment.ticket where state = 'waiting' and created_at <= clock_timestamp() - $1::interval order by seq limit 1000`, after)
	if err != nil {
		return fmt.Errorf("look for tickets: %w", err)
	}
	type lost struct{ Lane, No string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[lost])
	if err != nil {
		return fmt.Errorf("look for tickets: %w", err)
	}
	lanes := map[string][]string{}
	for _, t := range all {
		lanes[t.Lane] = append(lanes[t.Lane], t.No)
	}
	var mu sync.Mutex
	var failed error
	var work sync.WaitGroup
	free := make(chan struct{}, 4)
	for _, nos := range lanes {
		free <- struct{}{}
		work.Go(func() {
			defer func() { <-free }()
			for _, no := range nos {
				if err := s.Answer(ctx, no); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	work.Wait()
	return failed
}

// news is what an account is told at once.
type news struct {
	Type        string `json:"type"` // ticket, appointment, waitlist
	No          string `json:"no"`
	State       string `json:"state"`
	Reason      string `json:"reason,omitempty"`
	Appointment string `json:"appointment,omitempty"`
}

func (s *Service) tell(tx pgx.Tx, account int64, n news) {
	if s.Live == nil {
		return
	}
	data, err := json.Marshal(n)
	if err != nil {
		return
	}
	clinic.AfterCommit(tx, func() { s.Live.Publish(account, data) })
}
