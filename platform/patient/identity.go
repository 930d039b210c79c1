package patient

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Identity is what a hospital's HIS calls a patient (FHIR Identifier).
type Identity struct {
	Hospital  string `json:"hospital"`
	State     State  `json:"state" enum:"linked,registering,stuck"`
	PatientNo string `json:"patient_no,omitempty" doc:"the HIS's number of the patient"`
	CardNo    string `json:"card_no,omitempty"`
	Others    int    `json:"others,omitempty" doc:"how many more records the HIS has of this person"`
	Problem   string `json:"problem,omitempty" doc:"why the HIS has not registered the patient"`
	// Records of the person in the HIS, where it has several.
	Records []HisRecord `json:"records,omitempty" db:"-" doc:"which the hospital has of this person, where they are several"`
}

// HisRecord is one that a HIS has of a person.
type HisRecord struct {
	PatientNo string `json:"patient_no"`
	CardNo    string `json:"card_no,omitempty"`
	Used      bool   `json:"used" doc:"the one that is used"`
}

// Relink is a wish about what a hospital calls a patient that it knows.
type Relink struct {
	Again     bool   `json:"again,omitempty" doc:"ask the HIS again: it has merged records, or made another"`
	PatientNo string `json:"patient_no,omitempty" maxLength:"64" doc:"use this one of the records that the HIS has of this person"`
}

// State of a patient at a hospital.
type State string

// The states.
const (
	Linked      State = "linked"      // the HIS's number is known
	Registering State = "registering" // the HIS is being told
	Stuck       State = "stuck"       // it refused, or does not answer; a person looks
)

// States is the machine. A number that comes late is taken all the same.
var States = clinic.States[State]{
	Registering: {Linked, Stuck},
	Stuck:       {Linked, Registering},
}

// ErrNoIdentity: the hospital does not know the patient yet.
var ErrNoIdentity = fmt.Errorf("%w: the hospital does not know this patient yet; link the patient to it first", clinic.ErrState)

// Identity of a patient at a hospital; ErrNoIdentity while the HIS has no number for him.
func (s *Service) Identity(ctx context.Context, hospital, no string) (Identity, error) {
	i, err := s.identity(ctx, s.Database, hospital, no)
	if errors.Is(err, clinic.ErrNotFound) || err == nil && i.State != Linked {
		return i, ErrNoIdentity
	}
	return i, err
}

func (s *Service) identity(ctx context.Context, q querier, hospital, no string) (Identity, error) {
	rows, err := q.Query(ctx, `select $1::text, coalesce(case when i.patient is not null then 'linked' end, r.state), coalesce(i.patient_no, ''), coalesce(i.card_no, ''),
			(select count(*)::int from patient.identity o where o.hospital = $1 and o.patient = $2 and not o.used), case when i.patient is null then r.problem else '' end
		from (select) one left join patient.identity i on i.hospital = $1 and i.patient = $2 and i.used
			left join patient.registration r on r.hospital = $1 and r.patient = $2
		where i.patient is not null or r.patient is not null`, hospital, no)
	if err != nil {
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	i, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Identity])
	if errors.Is(err, pgx.ErrNoRows) {
		return i, clinic.ErrNotFound
	}
	return i, err
}

// Link makes a hospital and a patient known to one another: it asks the HIS for records
// of this person, and where there is none has him registered, which the hub tells the
// HIS as soon as that takes it. Linking again changes nothing, or looks at the HIS again when the
// registration is stuck.
func (s *Service) Link(ctx context.Context, hospital string, r Record) (Identity, error) {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return Identity{}, fmt.Errorf("link patient: %w", err)
	}
	if i, err := s.identity(ctx, s.Database, hospital, r.No); err == nil && i.State != Stuck {
		return i, nil
	} else if err != nil && !errors.Is(err, clinic.ErrNotFound) {
		return i, err
	}
	if !r.Verified {
		return Identity{}, fmt.Errorf("link patient: %w: real name: this person's name is not verified", clinic.ErrRule)
	}
	var found []core.PatientRecord
	if place.Can(core.PatientFind) && r.IDNo != "" {
		if found, err = s.records(ctx, hospital, r); err != nil {
			return Identity{}, fmt.Errorf("link patient: %w", err)
		}
	}
	if len(found) == 0 && !place.Can(core.PatientRegister) {
		return Identity{}, fmt.Errorf("link patient: %w: the hospital has no record of this person and registers nobody from outside; go to its desk once", clinic.ErrRule)
	}
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		if len(found) > 0 {
			return link(ctx, tx, hospital, r.No, found)
		}
		return s.register(ctx, tx, outbox, hospital, r)
	})
	if err != nil {
		return Identity{}, fmt.Errorf("link patient: %w", err)
	}
	return s.identity(ctx, s.Database, hospital, r.No)
}

// among are the HIS's records that are of this person, the one that was used last first.
// A record of the same document under another name is nobody's to take.
func (r Record) among(records []core.PatientRecord) ([]core.PatientRecord, error) {
	var fit []core.PatientRecord
	for _, p := range records {
		if p.PatientNo == "" || p.Name != "" && p.Name != r.Name || p.BirthDate != "" && p.BirthDate != r.BirthDate {
			continue
		}
		fit = append(fit, p)
	}
	if len(fit) == 0 && len(records) > 0 {
		return nil, fmt.Errorf("%w: the hospital has this document under another name or birth date; its desk must put that right", clinic.ErrRule)
	}
	slices.SortStableFunc(fit, func(a, b core.PatientRecord) int { return b.UsedAt.Compare(a.UsedAt) })
	return fit, nil
}

// Relink asks a hospital's HIS again which records it has of a patient, and chooses among
// them. The one in use stays unless another is chosen, or the HIS has it no more, as after
// it merged two of them; then it is the one that was used last there.
func (s *Service) Relink(ctx context.Context, hospital string, r Record, w Relink) (Identity, error) {
	i, err := s.Link(ctx, hospital, r)
	if err != nil || i.State != Linked {
		return i, err
	}
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return i, err
	}
	var found []core.PatientRecord
	if w.Again && r.IDNo != "" && place.Can(core.PatientFind) {
		if found, err = s.records(ctx, hospital, r); err == nil && len(found) == 0 {
			err = fmt.Errorf("%w: the hospital has no record of this person any more; its desk must put that right", clinic.ErrRule)
		}
		if err != nil {
			return i, fmt.Errorf("link patient again: %w", err)
		}
	}
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, _ core.Outbox) error {
		// One at a time; what is linked stays so.
		if _, err := tx.Exec(ctx, `select from patient.identity where hospital = $1 and patient = $2 order by patient_no for update`, hospital, r.No); err != nil {
			return err
		}
		used := i.PatientNo
		if w.PatientNo != "" {
			used = w.PatientNo
		}
		if len(found) > 0 {
			if n := slices.IndexFunc(found, func(p core.PatientRecord) bool { return p.PatientNo == used }); n > 0 {
				found[0], found[n] = found[n], found[0]
			}
			if err := link(ctx, tx, hospital, r.No, found); err != nil {
				return err
			}
			nos := make([]string, len(found))
			for n, p := range found {
				nos[n] = p.PatientNo
			}
			if _, err := tx.Exec(ctx, `delete from patient.identity where hospital = $1 and patient = $2 and patient_no <> all($3)`, hospital, r.No, nos); err != nil {
				return err
			}
		}
		if w.PatientNo == "" {
			return nil
		}
		var known bool
		if err := tx.QueryRow(ctx, `select exists (select from patient.identity where hospital = $1 and patient = $2 and patient_no = $3)`, hospital, r.No, w.PatientNo).Scan(&known); err != nil {
			return err
		}
		if !known {
			return core.Problems{{Field: "patient_no", What: "none of the records that the hospital has of this person"}}
		}
		if _, err := tx.Exec(ctx, `update patient.identity set used = false where hospital = $1 and patient = $2 and used`, hospital, r.No); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update patient.identity set used = true where hospital = $1 and patient = $2 and patient_no = $3`, hospital, r.No, w.PatientNo)
		return err
	})
	if err != nil {
		return i, fmt.Errorf("link patient again: %w", err)
	}
	return s.known(ctx, hospital, r.No)
}

// known is what a hospital calls a patient, with every record that it has of him.
func (s *Service) known(ctx context.Context, hospital, no string) (Identity, error) {
	i, err := s.identity(ctx, s.Database, hospital, no)
	if err != nil || i.Others == 0 {
		return i, err
	}
	rows, err := s.Database.Query(ctx, `select patient_no, card_no, used from patient.identity where hospital = $1 and patient = $2 order by used desc, linked_at, patient_no`, hospital, no)
	if err != nil {
		return i, fmt.Errorf("read identity: %w", err)
	}
	i.Records, err = pgx.CollectRows(rows, pgx.RowToStructByPos[HisRecord])
	return i, err
}

// records are what a HIS has of a person.
func (s *Service) records(ctx context.Context, hospital string, r Record) ([]core.PatientRecord, error) {
	answer, err := s.Ask(ctx, hospital, core.PatientFind, &core.PatientQuery{PersonID: r.No, Name: r.Name, IDType: r.IDType, IDNo: r.IDNo, Phone: r.Phone})
	if err != nil {
		return nil, err
	}
	return r.among(answer.(*core.Patients).Patients)
}

func link(ctx context.Context, tx pgx.Tx, hospital, no string, records []core.PatientRecord) error {
	if _, err := tx.Exec(ctx, `update patient.identity set used = false where hospital = $1 and patient = $2`, hospital, no); err != nil {
		return err
	}
	for i, p := range records {
		_, err := tx.Exec(ctx, `insert into patient.identity (hospital, patient, patient_no, card_no, used) values ($1, $2, $3, $4, $5)
			on conflict (hospital, patient, patient_no) do update set used = excluded.used, card_no = coalesce(nullif(excluded.card_no, ''), identity.card_no)`,
			hospital, no, p.PatientNo, p.CardNo, i == 0)
		if err != nil {
			return err
		}
	}
	return nil
}

// register tells the HIS of a patient. What it refused once is the same message; a
// person decides about it at the hub.
func (s *Service) register(ctx context.Context, tx pgx.Tx, outbox core.Outbox, hospital string, r Record) error {
	_, err := outbox.Enqueue(ctx, hospital, core.Message{Kind: core.PatientRegister, Body: &core.Patient{
		PersonID: r.No, Name: r.Name, Sex: r.Sex, BirthDate: r.BirthDate, IDType: r.IDType, IDNo: r.IDNo, Phone: r.Phone, Address: r.Address,
		Guardian: r.Guardian, RegisteredAt: r.created,
	}})
	var conflict *core.Conflict
	if errors.As(err, &conflict) { // told before, with another telephone or address
		err = nil
	}
	if err == nil {
		_, err = tx.Exec(ctx, `insert into patient.registration (hospital, patient, state) values ($1, $2, $3) on conflict do nothing`, hospital, r.No, Registering)
	}
	return err
}

// Take is the module's side of the inbox: the HIS has a number for whom it registered.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	if e.Kind != core.PatientRegister {
		return nil
	}
	var state State
	err := tx.QueryRow(ctx, `select state from patient.registration where hospital = $1 and patient = $2 for update`, e.Hospital, e.Key).Scan(&state)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // submitted by somebody else
	} else if err != nil {
		return err
	}
	var to State
	var problem string
	switch e.Type {
	case core.EventDelivered:
		if e.Receipt == nil || e.Receipt.HisNo == "" {
			to, problem = Stuck, "the HIS registered the patient and gave no number"
			break
		}
		to = Linked
		if err := link(ctx, tx, e.Hospital, e.Key, []core.PatientRecord{{PatientNo: e.Receipt.HisNo, CardNo: e.Receipt.CardNo}}); err != nil {
			return err
		}
	case core.EventParked, core.EventCancelled, core.EventRefundNow:
		to, problem = Stuck, e.Reason
	default:
		return nil
	}
	if to != state && !slices.Contains(States[state], to) {
		return nil // it came late, or twice
	}
	_, err = tx.Exec(ctx, `update patient.registration set state = $3, problem = $4, updated_at = clock_timestamp() where hospital = $1 and patient = $2`, e.Hospital, e.Key, to, problem)
	return err
}
