package appointment

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/schedule"
)

// WaitState is how somebody who waits for a place stands.
type WaitState string

// The states of the waiting list.
const (
	InLine  WaitState = "waiting"
	Offered WaitState = "offered" // a place became free and is held for him
	Left    WaitState = "left"    // he waits no more
	Ended   WaitState = "refused" // he got none: the session began, or a rule forbids it
)

// Waiter waits for a place of a session.
type Waiter struct {
	No          string    `json:"no"`
	Hospital    string    `json:"hospital"`
	Session     string    `json:"session"`
	Patient     string    `json:"patient" doc:"our number"`
	Channel     string    `json:"channel"`
	State       WaitState `json:"state" enum:"waiting,offered,left,refused"`
	Place       int       `json:"place,omitempty" doc:"in the line; 1 is next"`
	Reason      Reason    `json:"reason,omitempty"`
	Appointment string    `json:"appointment,omitempty" doc:"that is held for him"`
	Created     time.Time `json:"created_at"`

	account int64
	him     him
}

// Wait puts a patient of the account's own into the waiting list of a session that is full.
func (s *Service) Wait(ctx context.Context, p clinic.Person, hospital, session, patientNo, channel string) (Waiter, error) {
	w, err := s.wait(ctx, p, hospital, session, patientNo, channel)
	if err != nil {
		return w, fmt.Errorf("wait for a place: %w", err)
	}
	return w, nil
}

func (s *Service) wait(ctx context.Context, p clinic.Person, hospital, session, patientNo, channel string) (Waiter, error) {
	v, err := s.Schedule.Get(ctx, hospital, session)
	if err != nil {
		return Waiter{}, err
	}
	switch {
	case v.Stopped:
		return Waiter{}, schedule.ErrStopped
	case !time.Now().Before(v.Starts):
		return Waiter{}, schedule.ErrOver
	case time.Now().Before(v.ReleaseAt):
		return Waiter{}, schedule.ErrNotReleased
	}
	who, err := s.whom(ctx, p, hospital, patientNo, v.Source)
	if err != nil {
		return Waiter{}, err
	}
	if channel == "" {
		channel = "app"
	}
	no := clinic.NewNumber("WL", time.Now())
	sealed, err := s.sealHim(who, no)
	if err != nil {
		return Waiter{}, err
	}
	var free, has bool
	// A channel whose quota is sold is full while others have places: who was told so may wait.
	err = s.Database.QueryRow(ctx, `select $4 > 0 and not exists (select from appointment.waitlist where hospital = $1 and session = $2 and channel = $6 and state = 'waiting')
			and not exists (select from appointment.ticket where account = $5 and hospital = $1 and session = $2 and channel = $6 and reason = 'full'),
		exists (select from appointment.appointment where hospital = $1 and session = $2 and patient = $3 and state in ('requested', 'held', 'confirmed', 'checked_in'))`,
		hospital, session, patientNo, v.Free, p.Account, channel).Scan(&free, &has)
	switch {
	case err != nil:
		return Waiter{}, err
	case has:
		return Waiter{}, fmt.Errorf("%w: this patient has a place in this session", clinic.ErrState)
	case free:
		return Waiter{}, fmt.Errorf("%w: places are left; ask for one", clinic.ErrState)
	}
	_, err = s.Database.Exec(ctx, `insert into appointment.waitlist (no, hospital, session, account, patient, channel, him, state) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (hospital, session, patient) where state = 'waiting' do nothing`, no, hospital, session, p.Account, patientNo, channel, sealed, InLine)
	if err != nil {
		return Waiter{}, err
	}
	all, err := s.waiters(ctx, `account = $1 and hospital = $2 and session = $3 and patient = $4 and state = 'waiting'`, p.Account, hospital, session, patientNo)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%w: a place became free meanwhile, or the patient is in the list", clinic.ErrState)
	}
	if err != nil {
		return Waiter{}, err
	}
	return all[0], nil
}

func (s *Service) waiters(ctx context.Context, where string, args ...any) ([]Waiter, error) {
	rows, err := s.Database.Query(ctx, `select no, hospital, session, patient, channel, state, reason, appointment, created_at, account, him,
		case when state = 'waiting' then (select count(*) from appointment.waitlist b where b.hospital = w.hospital and b.session = w.session and b.state = 'waiting' and b.seq <= w.seq) else 0 end
		from appointment.waitlist w where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the waiting list: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (w Waiter, err error) {
		var sealed []byte
		if err := row.Scan(&w.No, &w.Hospital, &w.Session, &w.Patient, &w.Channel, &w.State, &w.Reason, &w.Appointment, &w.Created, &w.account, &sealed, &w.Place); err != nil {
			return w, err
		}
		w.him, err = s.openHim(sealed, w.No)
		return w, err
	})
}

// Waits are where an account's patients wait or waited, newest first.
func (s *Service) Waits(ctx context.Context, account int64) ([]Waiter, error) {
	return s.waiters(ctx, `account = $1 order by seq desc limit 50`, account)
}

// Leave takes a patient of the account's own out of a waiting list.
func (s *Service) Leave(ctx context.Context, account int64, no string) (Waiter, error) {
	tag, err := s.Database.Exec(ctx, `update appointment.waitlist set state = 'left', updated_at = clock_timestamp() where account = $1 and no = $2 and state = 'waiting'`, account, no)
	if err != nil {
		return Waiter{}, fmt.Errorf("leave the waiting list: %w", err)
	}
	all, err := s.waiters(ctx, `account = $1 and no = $2`, account, no)
	switch {
	case err != nil:
		return Waiter{}, err
	case len(all) == 0:
		return Waiter{}, clinic.ErrNotFound
	case tag.RowsAffected() == 0:
		return all[0], fmt.Errorf("leave the waiting list: %w: it is %s", clinic.ErrState, all[0].State)
	}
	return all[0], nil
}

// Promote gives places that became free to those who wait, in their order.
func (s *Service) Promote(ctx context.Context) error {
	rows, err := s.Database.Query(ctx, `select distinct hospital, session from appointment.waitlist where state = 'waiting'`)
	if err != nil {
		return fmt.Errorf("look for who waits: %w", err)
	}
	type awaited struct{ Hospital, Session string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[awaited])
	if err != nil {
		return fmt.Errorf("look for who waits: %w", err)
	}
	var failed error
	for _, a := range all {
		if err := s.promote(ctx, a.Hospital, a.Session); err != nil {
			failed = errors.Join(failed, fmt.Errorf("waiting list of session %s: %w", a.Session, err))
		}
	}
	return failed
}

func (s *Service) promote(ctx context.Context, hospital, session string) error {
	v, err := s.Schedule.Get(ctx, hospital, session)
	if err != nil && !errors.Is(err, clinic.ErrNotFound) {
		return err
	}
	if err == nil && v.Free == 0 && !v.Stopped && time.Now().Before(v.Starts) {
		return nil
	}
	line, err := s.waiters(ctx, `hospital = $1 and session = $2 and state = 'waiting' order by seq limit 1000`, hospital, session)
	if err != nil {
		return err
	}
	rules, err := s.Settings(ctx, hospital)
	if err != nil {
		return err
	}
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return err
	}
	full := map[string]bool{} // channels
	for _, w := range line {
		if full[w.Channel] {
			continue
		}
		isFull := false
		err := s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) (err error) {
			isFull, err = s.offer(ctx, tx, outbox, place, rules, w)
			return err
		})
		if err != nil && lasting(err) {
			s.Log.Error("one who waits cannot be granted a place", "waits", w.No, "error", err)
			err = s.Transact(ctx, hospital, func(tx pgx.Tx, _ core.Outbox) error { return s.offered(ctx, tx, w, Ended, Impossible, "") })
		}
		if err != nil {
			return err
		}
		full[w.Channel] = isFull
	}
	return nil
}

// offer holds a free place for one who waits, or says that there is none.
func (s *Service) offer(ctx context.Context, tx pgx.Tx, outbox core.Outbox, place clinic.Place, rules Settings, w Waiter) (full bool, err error) {
	var still WaitState
	if err := tx.QueryRow(ctx, `select state from appointment.waitlist where no = $1 for update`, w.No).Scan(&still); err != nil || still != InLine {
		return false, err
	}
	a, why, err := s.hold(ctx, tx, outbox, place, rules, want{hospital: w.Hospital, session: w.Session, account: w.account, patient: w.Patient, channel: w.Channel, him: w.him, waited: true})
	switch {
	case err != nil:
		return false, err
	case why == Full:
		return true, nil
	case why != "":
		return false, s.offered(ctx, tx, w, Ended, why, "")
	}
	if err := s.offered(ctx, tx, w, Offered, "", a.No); err != nil || a.State == Confirmed {
		return false, err
	}
	return false, s.notice(ctx, tx, w.account, "waitlist", map[string]string{"hospital": w.Hospital, "minutes": strconv.Itoa(rules.PayWithin)})
}

func (s *Service) offered(ctx context.Context, tx pgx.Tx, w Waiter, to WaitState, why Reason, appointment string) error {
	_, err := tx.Exec(ctx, `update appointment.waitlist set state = $2, reason = $3, appointment = $4, updated_at = clock_timestamp() where no = $1`, w.No, to, why, appointment)
	if err == nil {
		s.tell(tx, w.account, news{Type: "waitlist", No: w.No, State: string(to), Reason: string(why), Appointment: appointment})
	}
	return err
}
