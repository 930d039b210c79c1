package rx

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

func positive(decimal string) bool {
	r, ok := new(big.Rat).SetString(decimal)
	return ok && r.Sign() > 0
}

// ErrTampered: what is kept is not what was signed.
var ErrTampered = errors.New("the content of a signed prescription was changed")

const columns = `p.no, p.hospital, p.consult, p.state, p.revision, p.version, p.patient, p.doctor, p.valid_until, p.his_no, p.his_problem, p.why, p.author, p.account, p.told_at is not null,
	p.draft, r.content, r.hash, r.algorithm, r.signature, r.certificate, r.author`

const from = ` from rx.prescription p left join rx.revision r on r.no = p.no and r.revision = p.revision where `

// row is a prescription as it was read, and what its signature must fit.
type row struct {
	Rx
	author    int64
	signed    []byte // nil: a draft
	signature Signature
}

// scan reads a prescription: the draft while it is one, else what was signed last, whose
// hash it checks.
func (s *Service) scan() func(pgx.CollectableRow) (row, error) {
	return func(from pgx.CollectableRow) (row, error) {
		var p row
		var why, draft, content, hash, signature []byte
		var algorithm, certificate *string
		var author *int64
		if err := from.Scan(&p.No, &p.Hospital, &p.Consult, &p.State, &p.Revision, &p.Version, &p.Patient, &p.Doctor, &p.ValidUntil, &p.HisNo, &p.HisProblem, &why, &p.Rx.author, &p.account, &p.told,
			&draft, &content, &hash, &algorithm, &signature, &certificate, &author); err != nil {
			return p, err
		}
		if why != nil {
			text, err := s.Vault.Open(why, "prescription why", p.No)
			if err != nil {
				return p, fmt.Errorf("read prescription %s: %w", p.No, err)
			}
			p.Why = string(text)
		}
		text, err := s.Vault.Open(draft, "prescription draft", p.No)
		if p.State != Draft && p.State != Rejected && content != nil {
			text, err = s.Vault.Open(content, "prescription", fmt.Sprintf("%s/%d", p.No, p.Revision))
			if sum := sha256.Sum256(text); err == nil && !bytes.Equal(sum[:], hash) {
				err = ErrTampered
			}
			if err == nil {
				p.author, p.signed, p.signature = *author, text, Signature{Algorithm: *algorithm, Value: signature, Certificate: *certificate}
			}
		}
		if err != nil {
			return p, fmt.Errorf("read prescription %s: %w", p.No, err)
		}
		if err := json.Unmarshal(text, &p.Content); err != nil {
			return p, fmt.Errorf("read prescription %s: %w", p.No, err)
		}
		p.Rx = p.by(time.Now())
		return p, nil
	}
}

// verified are prescriptions whose signatures fit. It works with the connection that q is:
// whoever took a second one while he holds one would wait for ever beside enough others.
func (s *Service) verified(ctx context.Context, q order.Querier, rows pgx.Rows) ([]Rx, error) {
	read, err := pgx.CollectRows(rows, s.scan())
	if err != nil {
		return nil, err
	}
	all := make([]Rx, 0, len(read))
	for _, p := range read {
		if p.signed != nil {
			if err := s.Signer.Verify(over(ctx, q), p.author, p.signed, p.signature); err != nil {
				return nil, fmt.Errorf("read prescription %s: %w", p.No, err)
			}
		}
		all = append(all, p.Rx)
	}
	return all, nil
}

// by is the prescription as it is at that time: one that was not paid by its last moment
// is expired, also before the job has come to it.
func (p Rx) by(at time.Time) Rx {
	if expired, err := States.Move(p.State, Expired); err == nil && p.ValidUntil != nil && at.After(*p.ValidUntil) {
		p.State = expired
	}
	return p
}

func (s *Service) one(ctx context.Context, q order.Querier, where string, args ...any) (Rx, error) {
	rows, err := q.Query(ctx, `select `+columns+from+where, args...)
	if err != nil {
		return Rx{}, fmt.Errorf("read prescription: %w", err)
	}
	all, err := s.verified(ctx, q, rows)
	switch {
	case err != nil:
		return Rx{}, err
	case len(all) == 0:
		return Rx{}, clinic.ErrNotFound
	}
	return all[0], nil
}

// Get a prescription with its hits; clinic.ErrNotFound when the hospital has none of that
// number.
func (s *Service) Get(ctx context.Context, hospital, no string) (Rx, error) {
	p, err := s.one(ctx, s.Database, `p.hospital = $1 and p.no = $2`, hospital, no)
	if err != nil {
		return p, err
	}
	if p.Hits, _, err = s.hits(ctx, &p.Content); err != nil {
		return p, err
	}
	o, err := s.Orders.OfSubject(ctx, s.Database, hospital, order.Drugs, no)
	if errors.Is(err, clinic.ErrNotFound) {
		return p, nil
	}
	p.Order = o.No
	return p, err
}

// lock reads a prescription and holds it until tx ends.
func (s *Service) lock(ctx context.Context, tx pgx.Tx, hospital, no string) (Rx, error) {
	return s.one(ctx, tx, `p.hospital = $1 and p.no = $2 for update of p`, hospital, no)
}

// Hold is a prescription that is held until tx ends, for who hands out its drugs.
func (s *Service) Hold(ctx context.Context, tx pgx.Tx, hospital, no string) (Rx, error) {
	return s.lock(ctx, tx, hospital, no)
}

func (s *Service) move(ctx context.Context, tx pgx.Tx, p Rx, to State, set string, args ...any) error {
	if _, err := States.Move(p.State, to); err != nil {
		return err
	}
	if set != "" {
		set = ", " + set
	}
	_, err := tx.Exec(ctx, `update rx.prescription set state = $2, updated_at = clock_timestamp()`+set+` where no = $1`, append([]any{p.No, to}, args...)...)
	return err
}

func (s *Service) many(ctx context.Context, where string, args ...any) ([]Rx, error) {
	rows, err := s.Database.Query(ctx, `select `+columns+from+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list prescriptions: %w", err)
	}
	return s.verified(ctx, s.Database, rows)
}

// OfConsult are the prescriptions of a consultation, the first first.
func (s *Service) OfConsult(ctx context.Context, hospital, consult string) ([]Rx, error) {
	return s.many(ctx, `p.hospital = $1 and p.consult = $2 order by p.created_at`, hospital, consult)
}

// OfAccount are the signed prescriptions of an account's patients, newest first; before is
// the last number of the page before.
func (s *Service) OfAccount(ctx context.Context, account int64, before string, limit int) ([]Rx, error) {
	return s.many(ctx, `p.account = $1 and p.revision > 0 and p.state <> 'rejected'
		and ($2 = '' or (p.created_at, p.no) < (select created_at, no from rx.prescription where no = $2 and account = $1))
		order by p.created_at desc, p.no desc limit $3`, account, before, limit)
}

// Reviewing are a hospital's prescriptions that wait for a pharmacist, the oldest first.
func (s *Service) Reviewing(ctx context.Context, hospital string, limit int) ([]Rx, error) {
	return s.many(ctx, `p.hospital = $1 and p.state = 'in_review' and p.valid_until > clock_timestamp() order by p.updated_at limit $2`, hospital, limit)
}

// Mine are the events of prescriptions that were written here, and all of other kinds.
func (s *Service) Mine(ctx context.Context, tx pgx.Tx, events []core.Event) ([]core.Event, error) {
	return clinic.Known(ctx, tx, "rx.prescription", "hospital", "no", events, core.PrescriptionCreate, core.PrescriptionVoid)
}

// Take is the module's side of the inbox. It does not look at the content: one that was
// tampered with must not hold up the events of all others.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	if e.Type == "inbound."+core.EventType(core.DrugsDispensed) {
		return s.dispensed(ctx, tx, e)
	}
	if e.Kind != core.PrescriptionCreate && e.Kind != core.PrescriptionVoid || e.Inbound != 0 {
		return nil
	}
	var state State
	err := tx.QueryRow(ctx, `select state from rx.prescription where hospital = $1 and no = $2 for update`, e.Hospital, e.Key).Scan(&state)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // submitted by somebody else
	} else if err != nil {
		return err
	}
	to, no, problem := state, "", ""
	switch {
	case e.Type == core.EventDelivered && e.Kind == core.PrescriptionCreate:
		if e.Receipt != nil {
			no = e.Receipt.HisNo
		}
		if to, err = States.Move(state, SentHIS); err != nil {
			to = state // not paid yet, voided meanwhile, or told twice
		}
	case e.Type == core.EventDelivered:
	case e.Type != core.EventParked && e.Type != core.EventCancelled:
		return nil
	case e.Kind == core.PrescriptionCreate && state != Paid && state != Approved:
		return nil // it came late: the HIS has it, or must not have it
	default:
		problem = e.Reason
	}
	_, err = tx.Exec(ctx, `update rx.prescription set state = $3, his_no = coalesce(nullif($4, ''), his_no), his_problem = $5, updated_at = clock_timestamp() where hospital = $1 and no = $2`,
		e.Hospital, e.Key, to, no, problem)
	return err
}

// dispensed: the hospital's pharmacy handed the drugs out, or took them back.
func (s *Service) dispensed(ctx context.Context, tx pgx.Tx, e core.Event) error {
	body, err := s.Heard(ctx, e.Inbound)
	if err != nil {
		return err
	}
	n, ok := body.(*core.DispenseNotice)
	if !ok {
		return nil
	}
	return s.Hand(ctx, tx, e.Hospital, n.No, n.Returned)
}

// Hand says that the drugs of a prescription were handed out, or taken back. What cannot
// be (handed out of a void one) stays as it is; nights and the desk see that.
func (s *Service) Hand(ctx context.Context, tx pgx.Tx, hospital, no string, returned bool) error {
	to := Dispensed
	if returned {
		to = Returned
	}
	var state State
	var consult string
	err := tx.QueryRow(ctx, `select state, consult from rx.prescription where hospital = $1 and no = $2 for update`, hospital, no).Scan(&state, &consult)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	if _, err := States.Move(state, to); err != nil {
		if state != to {
			s.Log.Warn("the HIS handed out, or took back, what cannot be", "hospital", hospital, "prescription", no, "state", state)
		}
		return nil
	}
	if _, err := tx.Exec(ctx, `update rx.prescription set state = $2, updated_at = clock_timestamp() where no = $1`, no, to); err != nil {
		return err
	}
	text := "药品已发放"
	if returned {
		text = "药品已退回药房"
	}
	return s.Cards.Card(ctx, tx, hospital, consult, "prescription", no, text)
}

// Jobs expires what was not paid in time. An approved one expires with its order.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{{Name: "rx.expire", Times: "@every 30s", Run: s.expire}}
}

func (s *Service) expire(ctx context.Context) error {
	_, err := s.Database.Exec(ctx, `update rx.prescription set state = 'expired', updated_at = clock_timestamp()
		where state in ('in_review', 'rejected') and valid_until <= clock_timestamp()`)
	if err != nil {
		return fmt.Errorf("expire prescriptions: %w", err)
	}
	return nil
}
