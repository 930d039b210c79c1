package consult

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

const columns = `no, hospital, doctor, department, patient, state, fee, order_no, conversation, accept_until, started_at, ends_at, ended_at, rating, why, details, summary, account, doctor_account, accept_within, lasts`

func (s *Service) scan(row pgx.CollectableRow) (k Consult, err error) {
	var why, details, summary []byte
	if err := row.Scan(&k.No, &k.Hospital, &k.Doctor, &k.Department, &k.Patient, &k.State, &k.Fee, &k.Order, &k.Conversation, &k.AcceptUntil, &k.StartedAt, &k.EndsAt, &k.EndedAt, &k.Rating,
		&why, &details, &summary, &k.account, &k.doctorAccount, &k.acceptWithin, &k.lasts); err != nil {
		return k, err
	}
	open := func(sealed []byte, purpose string, to any) {
		if sealed == nil || err != nil {
			return
		}
		var text []byte
		if text, err = s.Vault.Open(sealed, purpose, k.No); err == nil {
			if said, ok := to.(*string); ok {
				*said = string(text)
				return
			}
			err = json.Unmarshal(text, to)
		}
	}
	open(why, "consultation why", &k.Why)
	open(details, "consultation", &k.Details)
	open(summary, "consultation summary", &k.Summary)
	if err != nil {
		return k, fmt.Errorf("read consultation %s: %w", k.No, err)
	}
	return k.by(time.Now()), nil
}

// by is the consultation as it is at that time, also before the job has come to it: one
// that no doctor accepted in time is timed out, one whose time is over has ended.
func (k Consult) by(at time.Time) Consult {
	switch {
	case k.State == Waiting && k.AcceptUntil != nil && !at.Before(*k.AcceptUntil):
		k.State = TimedOut
	case k.State == Active && k.EndsAt != nil && !at.Before(*k.EndsAt):
		k.State = Ended
	}
	return k
}

func (s *Service) one(ctx context.Context, q order.Querier, where string, args ...any) (Consult, error) {
	rows, err := q.Query(ctx, `select `+columns+` from consult.consult where `+where, args...)
	if err != nil {
		return Consult{}, fmt.Errorf("read consultation: %w", err)
	}
	k, err := pgx.CollectExactlyOneRow(rows, s.scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return k, clinic.ErrNotFound
	}
	return k, err
}

// Get a consultation; clinic.ErrNotFound when the hospital has none of that number.
func (s *Service) Get(ctx context.Context, hospital, no string) (Consult, error) {
	return s.withOrder(ctx)(s.one(ctx, s.Database, `hospital = $1 and no = $2`, hospital, no))
}

// Own is a consultation of an account's own; another's does not exist for it.
func (s *Service) Own(ctx context.Context, account int64, no string) (Consult, error) {
	return s.withOrder(ctx)(s.one(ctx, s.Database, `account = $1 and no = $2`, account, no))
}

// withOrder names the order of one from before that was kept with it.
func (s *Service) withOrder(ctx context.Context) func(Consult, error) (Consult, error) {
	return func(k Consult, err error) (Consult, error) {
		if err != nil || k.Order != "" {
			return k, err
		}
		o, err := s.Orders.OfSubject(ctx, s.Database, k.Hospital, order.Consultation, k.No)
		if errors.Is(err, clinic.ErrNotFound) {
			return k, nil
		}
		k.Order = o.No
		return k, err
	}
}

// lock reads a consultation and holds it until tx ends.
func (s *Service) lock(ctx context.Context, tx pgx.Tx, hospital, no string) (Consult, error) {
	return s.one(ctx, tx, `hospital = $1 and no = $2 for update`, hospital, no)
}

func (s *Service) move(ctx context.Context, tx pgx.Tx, k Consult, to State, set string, args ...any) error {
	if _, err := States.Move(k.State, to); err != nil {
		return err
	}
	if set != "" {
		set = ", " + set
	}
	if _, err := tx.Exec(ctx, `update consult.consult set state = $2, updated_at = clock_timestamp()`+set+` where no = $1`, append([]any{k.No, to}, args...)...); err != nil {
		return err
	}
	event := map[State]string{Active: "accepted", Refused: "refused", TimedOut: "timed_out"}[to]
	if event == "" || s.Notices == nil {
		return nil
	}
	return s.Notices.Send(ctx, tx, k.account, "consult."+event, map[string]string{"hospital": k.Hospital, "no": k.No})
}

// OwnOfDoctor is a consultation of a doctor's own, with whom he treats; another's does not
// exist for him.
func (s *Service) OwnOfDoctor(ctx context.Context, hospital string, account int64, no string) (Consult, error) {
	k, err := s.Get(ctx, hospital, no)
	switch {
	case err != nil:
		return k, err
	case k.doctorAccount != account:
		return Consult{}, clinic.ErrNotFound
	}
	r, err := s.Patients.Get(ctx, k.Patient)
	if err == nil {
		k.Who = &Who{Name: r.Name, Sex: r.Sex, Age: r.Age(time.Now()), Guardian: r.Guardian}
	}
	return k, err
}

// OfAccount are an account's consultations, newest first; before is the last number of the
// page before.
func (s *Service) OfAccount(ctx context.Context, account int64, before string, limit int) ([]Consult, error) {
	return s.many(ctx, `account = $1 and ($2 = '' or (created_at, no) < (select created_at, no from consult.consult where no = $2 and account = $1))
		order by created_at desc, no desc limit $3`, account, before, limit)
}

// OfDoctor are a doctor's consultations in a state: those that wait the longest first, the
// others newest first.
func (s *Service) OfDoctor(ctx context.Context, hospital string, account int64, state State, limit int) ([]Consult, error) {
	by := `created_at desc`
	if state == Waiting {
		by = `accept_until`
	}
	return s.many(ctx, `hospital = $1 and doctor_account = $2 and state = $3 order by `+by+` limit $4`, hospital, account, state, limit)
}

func (s *Service) many(ctx context.Context, where string, args ...any) ([]Consult, error) {
	rows, err := s.Database.Query(ctx, `select `+columns+` from consult.consult where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list consultations: %w", err)
	}
	all, err := pgx.CollectRows(rows, s.scan)
	for i := range all {
		if err == nil {
			all[i], err = s.withOrder(ctx)(all[i], nil)
		}
	}
	return all, err
}

// Price implements order.Subject: what the doctor asked for when it was opened.
func (s *Service) Price(ctx context.Context, o order.Order) ([]order.Line, error) {
	k, err := s.Get(ctx, o.Hospital, o.Subject)
	return lines(k.Fee), err
}

// Paid implements order.Subject: the consultation is before the doctor. The fee is the
// platform's, so it goes into the ledger for the night, and no HIS is told of it.
func (s *Service) Paid(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, p order.Payment) error {
	k, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil {
		return err
	}
	if err := s.move(ctx, tx, k, Waiting, `accept_until = clock_timestamp() + make_interval(mins => accept_within)`); err != nil || p.Amount == 0 {
		return err
	}
	_, err = outbox.Enqueue(ctx, o.Hospital, core.Message{Kind: core.RecordMoney, Body: &core.LedgerRecord{
		Type: core.EntryPayment, Number: o.No, OrderID: o.No, Amount: p.Amount, Channel: p.Channel, ChannelNo: p.ChannelNo, At: p.At, Reason: "consultation fee",
	}})
	return err
}

// Closed implements order.Subject: nobody paid in time.
func (s *Service) Closed(ctx context.Context, tx pgx.Tx, _ core.Outbox, o order.Order) error {
	k, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil || k.State != Created {
		return err // cancelled, and the order closed for that
	}
	return s.move(ctx, tx, k, Cancelled, "")
}

// Refunded implements order.Subject. A consultation that was held is paid; that it goes
// back all the same is finance's to decide and changes nothing of it.
func (s *Service) Refunded(ctx context.Context, tx pgx.Tx, _ core.Outbox, o order.Order, r order.Refund) error {
	k, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil {
		return err
	}
	switch {
	case k.State == Waiting && r.ByPatient:
		return fmt.Errorf("%w: the consultation is waiting; cancel it, and all of it goes back by itself", clinic.ErrState)
	case r.ByPatient:
		return fmt.Errorf("%w: the consultation is %s; the hospital decides", clinic.ErrRule, k.State)
	case k.State == Waiting || k.State == Active:
		return fmt.Errorf("%w: the consultation is %s; it is refused or ended first", clinic.ErrState, k.State)
	}
	return nil
}

var _ order.Ender = (*Service)(nil)

// Ended implements order.Ender: it never took place.
func (s *Service) Ended(ctx context.Context, tx pgx.Tx, o order.Order) (bool, error) {
	k, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	return k.State == Cancelled || k.State == Refused || k.State == TimedOut, err
}

// Returned implements order.Subject: the money that went back is in the ledger, too.
func (s *Service) Returned(ctx context.Context, _ pgx.Tx, outbox core.Outbox, o order.Order, r order.Refund, b order.Back) error {
	_, err := outbox.Enqueue(ctx, o.Hospital, core.Message{Kind: core.RecordMoney, Body: &core.LedgerRecord{
		Type: core.EntryRefund, Number: r.No, OrderID: o.No, Amount: r.Amount, Channel: b.Payment.Channel, ChannelNo: b.ChannelRefundNo, At: b.At, Reason: "consultation fee",
	}})
	return err
}

// archiveAfter is how long a doctor may still write the summary.
const archiveAfter = 7 * 24 * time.Hour

// Jobs times out what no doctor accepted, ends what is over, archives what ended.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{{Name: "consult.times", Times: "@every 5s", Run: s.times}}
}

func (s *Service) times(ctx context.Context) error {
	rows, err := s.Database.Query(ctx, `
		(select hospital, no, 'waiting' from consult.consult where state = 'waiting' and accept_until <= clock_timestamp() order by accept_until limit 200) union all
		(select hospital, no, 'active' from consult.consult where state = 'active' and ends_at <= clock_timestamp() order by ends_at limit 200)`)
	if err != nil {
		return fmt.Errorf("look for consultations whose time is over: %w", err)
	}
	type due struct {
		Hospital, No string
		State        State
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[due])
	if err != nil {
		return fmt.Errorf("look for consultations whose time is over: %w", err)
	}
	var failed error
	for _, d := range all {
		_, err := s.change(ctx, "time over", d.Hospital, d.No, func(tx pgx.Tx, outbox core.Outbox, k Consult) error {
			var still State // by() says what it will be; the row, what it is
			if err := tx.QueryRow(ctx, `select state from consult.consult where no = $1`, d.No).Scan(&still); err != nil || still != d.State {
				return err
			}
			k.State = still
			if still == Active {
				return s.end(ctx, tx, k)
			}
			return s.giveUp(ctx, tx, outbox, k, TimedOut, "医生未在时限内接诊")
		})
		failed = errors.Join(failed, err)
	}
	_, err = s.Database.Exec(ctx, `update consult.consult set state = 'archived', updated_at = clock_timestamp() where state = 'ended' and ended_at <= clock_timestamp() - $1::interval`, archiveAfter)
	return errors.Join(failed, err)
}
