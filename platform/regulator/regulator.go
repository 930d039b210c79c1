// Package regulator sees to it that the regulator hears what the law wants him to: each
// prescription, its cancelling, and what became of its drugs. He is a folder of the hub
// like a hospital's, so telling him is a message in the transaction of the fact, retried
// by the hub; here is kept which facts have his receipt, and which have not.
package regulator

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// State of a fact that a regulator must hear.
type State string

// The states. All but Taken are gaps.
const (
	Waiting   State = "waiting"   // on its way
	Taken     State = "taken"     // he has it
	Refused   State = "refused"   // parked at the hub: somebody must look
	Cancelled State = "cancelled" // somebody decided that it is not told
	Untold    State = "untold"    // it could not be put on its way
)

// States is the machine: what was refused or cancelled may be sent again at the hub.
var States = clinic.States[State]{
	Waiting:   {Taken, Refused, Cancelled},
	Refused:   {Taken, Cancelled},
	Cancelled: {Taken, Refused},
}

// Service is the module.
type Service struct {
	*clinic.Clinic
	// Hub is the hub's own outbox.
	Hub func(pgx.Tx) core.Outbox
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "regulator", schema)
}

// Telling is the outbox that the clinic's modules are given: what they tell a HIS and a
// regulator must know is told to the hospital's regulator too, in the same transaction,
// also where the HIS has no such transaction.
func (s *Service) Telling(tx pgx.Tx) core.Outbox { return telling{s, tx, s.Hub(tx)} }

type telling struct {
	s   *Service
	tx  pgx.Tx
	hub core.Outbox
}

func (o telling) Enqueue(ctx context.Context, hospital string, m core.Message) (core.Accepted, error) {
	accepted, err := o.hub.Enqueue(ctx, hospital, m)
	if err != nil && !errors.Is(err, core.ErrCannot) {
		return accepted, err
	}
	if failed := o.s.tell(ctx, o.tx, o.hub, hospital, m); failed != nil {
		return accepted, fmt.Errorf("tell the regulator of %s: %w", m.Kind, failed)
	}
	return accepted, err
}

// whose a prescription is, as later facts of it must name.
type whose struct {
	VisitNo   string `json:"visit_no,omitempty"`
	PatientNo string `json:"patient_no"`
}

// tell the hospital's regulator; nothing where it has none. What follows a prescription
// goes where that went.
func (s *Service) tell(ctx context.Context, tx pgx.Tx, hub core.Outbox, hospital string, m core.Message) error {
	var no string
	var sealed []byte
	switch body := m.Body.(type) {
	case *core.Prescription:
		no = body.No
		text, err := json.Marshal(whose{body.VisitNo, body.PatientNo})
		if err != nil {
			return err
		}
		if sealed, err = s.Vault.Seal(text, "regulator upload", hospital+"/"+no); err != nil {
			return err
		}
	case *core.PrescriptionVoiding:
		no = body.No
	case *core.Dispense:
		no = body.No
	default:
		return nil // nothing that a regulator wants
	}
	ask := `select regulator from regulator.setting where hospital = $1`
	args := []any{hospital}
	if m.Kind != core.PrescriptionCreate {
		ask, args = `select regulator from regulator.upload where hospital = $1 and kind = $2 and key = $3`, []any{hospital, core.PrescriptionCreate, no}
	}
	var regulator string
	if err := tx.QueryRow(ctx, ask, args...).Scan(&regulator); errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `insert into regulator.upload (hospital, kind, key, regulator, no, whose, state) values ($1, $2, $3, $4, $5, $6, 'waiting') on conflict do nothing`,
		hospital, m.Kind, m.Key(), regulator, no, sealed)
	if err != nil || tag.RowsAffected() == 0 {
		return err // told before
	}
	var why string
	_, err = hub.Enqueue(ctx, regulator, m)
	var conflict *core.Conflict
	switch {
	case err == nil:
		clinic.AfterCommit(tx, func() { s.Wake(regulator) })
		return nil
	case errors.Is(err, core.ErrUnknownHospital):
		why = "the regulator is no hospital of the hub"
	case errors.Is(err, core.ErrCannot):
		why = "the regulator's folder has no such transaction"
	case errors.As(err, &conflict):
		why = "he was told other content under this key"
	default:
		return err
	}
	// The fact holds all the same, and is seen in the report.
	_, err = tx.Exec(ctx, `update regulator.upload set state = 'untold', reason = $4 where hospital = $1 and kind = $2 and key = $3`, hospital, m.Kind, m.Key(), why)
	return err
}

// Mine are the events of what a regulator was told of here, and all of other kinds.
func (s *Service) Mine(ctx context.Context, tx pgx.Tx, events []core.Event) ([]core.Event, error) {
	return clinic.Known(ctx, tx, "regulator.upload", "regulator", "key", events, core.PrescriptionCreate, core.PrescriptionVoid, core.DispenseReport)
}

// Take is the module's side of the inbox: receipts, and what the hospital's own pharmacy
// handed out, which a regulator must hear as well.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	if e.Type == "inbound."+core.EventType(core.DrugsDispensed) {
		return s.window(ctx, tx, e)
	}
	var to State
	switch e.Type {
	case core.EventDelivered:
		to = Taken
	case core.EventParked:
		to = Refused
	case core.EventCancelled:
		to = Cancelled
	default:
		return nil
	}
	if e.Kind != core.PrescriptionCreate && e.Kind != core.PrescriptionVoid && e.Kind != core.DispenseReport {
		return nil
	}
	var hospital string
	var from State
	err := tx.QueryRow(ctx, `select hospital, state from regulator.upload where regulator = $1 and kind = $2 and key = $3 for update`, e.Hospital, e.Kind, e.Key).Scan(&hospital, &from)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	if _, err := States.Move(from, to); err != nil && from != to {
		return nil // late: he has it
	}
	receipt := ""
	if e.Receipt != nil {
		receipt = e.Receipt.HisNo
	}
	_, err = tx.Exec(ctx, `update regulator.upload set state = $4, reason = $5, receipt = coalesce(nullif($6, ''), receipt), heard_at = $7 where hospital = $1 and kind = $2 and key = $3`,
		hospital, e.Kind, e.Key, to, e.Reason, receipt, e.At)
	return err
}

// window: the HIS says that the hospital's own pharmacy handed out, or took back.
func (s *Service) window(ctx context.Context, tx pgx.Tx, e core.Event) error {
	heard, err := s.Heard(ctx, e.Inbound)
	if err != nil {
		return err
	}
	n, ok := heard.(*core.DispenseNotice)
	if !ok {
		return nil
	}
	var sealed []byte
	err = tx.QueryRow(ctx, `select whose from regulator.upload where hospital = $1 and kind = $2 and key = $3`, e.Hospital, core.PrescriptionCreate, n.No).Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	var of whose
	text, err := s.Vault.Open(sealed, "regulator upload", e.Hospital+"/"+n.No)
	if err == nil {
		err = json.Unmarshal(text, &of)
	}
	if err != nil {
		return fmt.Errorf("read whose prescription %s is: %w", n.No, err)
	}
	d := &core.Dispense{No: n.No, VisitNo: of.VisitNo, PatientNo: of.PatientNo, HisNo: n.HisNo, State: "picked_up", At: n.At}
	if n.Returned {
		d.State = "returned"
	}
	if d.At.IsZero() {
		d.At = e.At
	}
	return s.tell(ctx, tx, s.Hub(tx), e.Hospital, core.Message{Kind: core.DispenseReport, Body: d})
}

// Setting says which regulator a hospital's facts are told to.
type Setting struct {
	Regulator string    `json:"regulator,omitempty" maxLength:"64" doc:"his id at the hub; missing: none"`
	Since     time.Time `json:"since,omitzero"`
}

// Setting of a hospital.
func (s *Service) Setting(ctx context.Context, hospital string) (set Setting, err error) {
	err = s.Database.QueryRow(ctx, `select regulator, updated_at from regulator.setting where hospital = $1`, hospital).Scan(&set.Regulator, &set.Since)
	if errors.Is(err, pgx.ErrNoRows) {
		return Setting{}, nil
	} else if err != nil {
		return set, fmt.Errorf("read the regulator: %w", err)
	}
	return set, nil
}

// Serve says that a regulator hears what happens at a hospital from now on; "" is none.
// Prescriptions of before stay with the one that heard of them.
func (s *Service) Serve(ctx context.Context, by clinic.Person, hospital, regulator string) (Setting, error) {
	if regulator == "" {
		_, err := s.Database.Exec(ctx, `delete from regulator.setting where hospital = $1`, hospital)
		return Setting{}, err
	}
	place, err := s.Place(ctx, regulator)
	switch {
	case errors.Is(err, clinic.ErrNotFound) || regulator == hospital:
		return Setting{}, core.Problems{{Field: "regulator", What: "is no regulator of the hub"}}
	case err != nil:
		return Setting{}, fmt.Errorf("set the regulator: %w", err)
	case !place.Can(core.PrescriptionCreate):
		return Setting{}, core.Problems{{Field: "regulator", What: "its folder has no " + string(core.PrescriptionCreate)}}
	}
	if _, err := s.Database.Exec(ctx, `insert into regulator.setting (hospital, regulator, account) values ($1, $2, $3)
		on conflict (hospital) do update set regulator = excluded.regulator, account = excluded.account, updated_at = clock_timestamp()`, hospital, regulator, by.Account); err != nil {
		return Setting{}, fmt.Errorf("set the regulator: %w", err)
	}
	return s.Setting(ctx, hospital)
}
