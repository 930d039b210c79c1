package appointment

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/schedule"
)

// Effect is what stopping a session does, or has still to do.
type Effect struct {
	Session schedule.Session `json:"session"`
	Held    int              `json:"held" doc:"appointments that are to be paid"`
	Booked  int              `json:"booked" doc:"appointments that are paid, or for nothing"`
	Money   core.Fen         `json:"money" doc:"fen that go back"`
	Waiting int              `json:"waiting" doc:"in the line and in the waiting list"`
	// Left is how many are not told yet of a stop that was made.
	Left int `json:"left"`
}

// Preview is what stopping a session would do now.
func (s *Service) Preview(ctx context.Context, hospital, session string) (Effect, error) {
	v, err := s.Schedule.Get(ctx, hospital, session)
	if err != nil {
		return Effect{}, err
	}
	e := Effect{Session: v}
	var stopping bool
	err = s.Database.QueryRow(ctx, `select count(*) filter (where state in ('requested', 'held')), count(*) filter (where state in ('confirmed', 'checked_in')),
			coalesce(sum(fee) filter (where state in ('confirmed', 'checked_in')), 0),
			(select count(*) from appointment.ticket where hospital = $1 and session = $2 and state = 'waiting') + (select count(*) from appointment.waitlist where hospital = $1 and session = $2 and state = 'waiting'),
			exists (select from appointment.stop where hospital = $1 and session = $2 and done_at is null)
		from appointment.appointment where hospital = $1 and session = $2`, hospital, session).Scan(&e.Held, &e.Booked, &e.Money, &e.Waiting, &stopping)
	if err != nil {
		return e, fmt.Errorf("preview the stop of a session: %w", err)
	}
	if stopping {
		e.Left = e.Held + e.Booked
	}
	return e, nil
}

// Stop a session: nothing of it is sold from now on, and everybody who has a place is told
// and has his money back, by a job; or another doctor takes it, and everybody is told that.
// It returns what is to be done.
func (s *Service) Stop(ctx context.Context, p clinic.Person, hospital, session string, stop schedule.Stop) (Effect, error) {
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, _ core.Outbox) error { return s.stop(ctx, tx, hospital, session, p.Account, stop) })
	if err != nil {
		return Effect{}, fmt.Errorf("stop session: %w", err)
	}
	return s.Preview(ctx, hospital, session)
}

func (s *Service) stop(ctx context.Context, tx pgx.Tx, hospital, session string, account int64, stop schedule.Stop) error {
	if _, err := s.Schedule.Stop(ctx, tx, hospital, session, stop); err != nil {
		return err
	}
	reason, err := s.Vault.Seal([]byte(stop.Reason), "stop reason", hospital+"/"+session)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into appointment.stop (hospital, session, substitute, reason, account) values ($1, $2, $3, $4, $5)
		on conflict (hospital, session, substitute) where done_at is null do nothing`, hospital, session, stop.Substitute, reason, account)
	return err
}

// stops tells everybody of the sessions that were stopped, or have another doctor. It goes
// on where another process died: an appointment that is stopped is looked for no more.
func (s *Service) stops(ctx context.Context) error {
	rows, err := s.Database.Query(ctx, `select id, hospital, session, substitute, reason from appointment.stop where done_at is null order by id limit 50`)
	if err != nil {
		return fmt.Errorf("look for stopped sessions: %w", err)
	}
	type stopped struct {
		ID                            int64
		Hospital, Session, Substitute string
		Reason                        []byte
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[stopped])
	if err != nil {
		return fmt.Errorf("look for stopped sessions: %w", err)
	}
	var failed error
	for _, d := range all {
		reason, err := s.Vault.Open(d.Reason, "stop reason", d.Hospital+"/"+d.Session)
		if err == nil && d.Substitute == "" {
			err = s.stopAll(ctx, d.Hospital, d.Session, string(reason))
		}
		if err == nil {
			err = s.stopDone(ctx, d.ID, d.Hospital, d.Session, d.Substitute)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("stop session %s: %w", d.Session, err))
		}
	}
	return failed
}

// stopAll gives up what is open of a session. One whose payment is on its way waits for
// that.
func (s *Service) stopAll(ctx context.Context, hospital, session, reason string) error {
	return s.each(ctx, `select hospital, no from appointment.appointment where hospital = $1 and session = $2 and state in ('requested', 'held', 'confirmed', 'checked_in') order by created_at`,
		func(ctx context.Context, tx pgx.Tx, c change) error {
			switch c.a.State {
			case Requested, Held, Confirmed, CheckedIn:
			default:
				return nil
			}
			if c.a.Session != session || c.o.State == order.Paying {
				return nil // it moved, or waits
			}
			return s.giveUp(ctx, tx, c, Stopped, reason)
		}, hospital, session)
}

// stopDone ends a stop once nobody is left. Nobody comes after: a stopped session sells
// nothing.
func (s *Service) stopDone(ctx context.Context, id int64, hospital, session, substitute string) error {
	return s.Transact(ctx, hospital, func(tx pgx.Tx, _ core.Outbox) error {
		if substitute == "" {
			_, err := tx.Exec(ctx, `update appointment.stop set done_at = clock_timestamp() where id = $1 and not exists (select from appointment.appointment
				where hospital = $2 and session = $3 and state in ('requested', 'held', 'confirmed', 'checked_in'))`, id, hospital, session)
			return err
		}
		rows, err := tx.Query(ctx, `update appointment.appointment set substitute = $3, updated_at = clock_timestamp()
			where hospital = $1 and session = $2 and state in ('requested', 'held', 'confirmed', 'checked_in') and substitute <> $3 returning account, no, state`, hospital, session, substitute)
		if err != nil {
			return err
		}
		type told struct {
			Account int64
			No      string
			State   State
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[told])
		if err != nil {
			return err
		}
		for _, t := range all {
			s.tell(tx, t.Account, news{Type: "appointment", No: t.No, State: string(t.State), Reason: "substitute"})
		}
		_, err = tx.Exec(ctx, `update appointment.stop set done_at = clock_timestamp() where id = $1`, id)
		return err
	})
}
