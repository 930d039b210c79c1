// Package fulfilment is how the drugs of a paid prescription come to the patient: picked up
// at the pharmacy with a code that holds once, or brought by a carrier. A pharmacist hands
// them out, after four checks, and takes them back.
package fulfilment

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/identity"
	"hishub/platform/rx"
)

// State of what is to be handed out.
type State string

// The states.
const (
	Ready     State = "ready"     // at the pharmacy; the patient comes with his code
	Preparing State = "preparing" // to be delivered
	PickedUp  State = "picked_up"
	Shipped   State = "shipped" // handed to the carrier
	Arrived   State = "arrived" // at the patient's place
	Signed    State = "signed"  // and taken by him
	Returned  State = "returned"
	AtWindow  State = "at_window" // the hospital's own pharmacy handed it out, says the HIS
	Lapsed    State = "lapsed"    // nobody fetched it while the prescription was valid
	Stopped   State = "stopped"   // the prescription was taken back
)

// States is the machine.
var States = clinic.States[State]{
	Ready:     {PickedUp, Preparing, AtWindow, Lapsed, Stopped},
	Preparing: {Shipped, Ready, AtWindow, Lapsed, Stopped},
	Shipped:   {Arrived, Signed, Returned},
	Arrived:   {Signed, Returned},
	Signed:    {Returned},
	PickedUp:  {Returned},
	AtWindow:  {Returned},
	Lapsed:    {AtWindow, Stopped},
}

// Fulfilment of a prescription (FHIR MedicationDispense).
type Fulfilment struct {
	No         string    `json:"no" doc:"prescription number"`
	Hospital   string    `json:"hospital"`
	Patient    string    `json:"patient" doc:"our number"`
	State      State     `json:"state" enum:"ready,preparing,picked_up,shipped,arrived,signed,returned,at_window,lapsed,stopped"`
	ValidUntil time.Time `json:"valid_until" doc:"nothing is handed out later"`
	HasCode    bool      `json:"has_code" doc:"a pick-up code holds"`
	Carrier    string    `json:"carrier,omitempty"`
	Tracking   string    `json:"tracking,omitempty"`
	UpdatedAt  time.Time `json:"updated_at"`

	account int64
	code    []byte
	tries   int
	address []byte
}

// Address where a delivery goes.
type Address struct {
	Name    string `json:"name" minLength:"1" maxLength:"60"`
	Phone   string `json:"phone" minLength:"5" maxLength:"20"`
	Address string `json:"address" minLength:"5" maxLength:"200"`
}

// Checks are what a pharmacist must have checked before he hands out (四查十对): whose the
// prescription is, the drugs, how they are taken, and that it is valid.
type Checks struct {
	Who      bool `json:"who" doc:"the patient: name, sex, age, department"`
	Drug     bool `json:"drug" doc:"name, form, strength, quantity"`
	Dose     bool `json:"dose" doc:"incompatibility: properties of the drug, how it is taken and how much"`
	Validity bool `json:"validity" doc:"reasonable use: the diagnosis, and that the prescription is valid"`
}

func (c Checks) all() error {
	for _, one := range []struct {
		name string
		done bool
	}{{"who", c.Who}, {"drug", c.Drug}, {"dose", c.Dose}, {"validity", c.Validity}} {
		if !one.done {
			return fmt.Errorf("%w: four checks: %s was not checked", clinic.ErrRule, one.name)
		}
	}
	return nil
}

// What the module needs of others.
type (
	// Prescriptions is the rx module. Hold reads one and holds it until tx ends; a content
	// that was tampered with is an error. Hand says that its drugs were handed out or taken
	// back.
	Prescriptions interface {
		Get(ctx context.Context, hospital, no string) (rx.Rx, error)
		Hold(ctx context.Context, tx pgx.Tx, hospital, no string) (rx.Rx, error)
		Hand(ctx context.Context, tx pgx.Tx, hospital, no string, returned bool) error
	}
	// Licences is the identity module; ErrRule with the rule's name when somebody has none.
	Licences interface {
		Licensed(ctx context.Context, account int64, hospital string, kind identity.LicenceKind, at time.Time) error
	}
	// Carrier brings parcels. Collect may be called again for the same number, and then
	// answers with what it answered before.
	Carrier interface {
		Name() string
		Collect(ctx context.Context, hospital, no string, to Address) (tracking string, err error)
	}
	// Notices is the notify module.
	Notices interface {
		Send(ctx context.Context, tx pgx.Tx, account int64, event string, params map[string]string) error
	}
)

// Service is the module.
type Service struct {
	*clinic.Clinic
	Prescriptions Prescriptions
	Licences      Licences
	Carriers      []Carrier // by their names; one that is none of them is told by a pharmacist
	Notices       Notices   // nil: nobody is told
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "fulfilment", schema)
}

// Start is called in the transaction in which a prescription is paid: its drugs are to be
// handed out. Again is nothing.
func (s *Service) Start(ctx context.Context, tx pgx.Tx, hospital, no, patient string, account int64, validUntil time.Time) error {
	tag, err := tx.Exec(ctx, `insert into fulfilment.fulfilment (hospital, no, patient, account, state, valid_until) values ($1, $2, $3, $4, 'ready', $5) on conflict do nothing`,
		hospital, no, patient, account, validUntil)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	return s.tell(ctx, tx, Fulfilment{No: no, Hospital: hospital, account: account}, "fulfilment.ready")
}

// Stop is called in the transaction in which a prescription is taken back. What was handed
// out stays as it is.
func (s *Service) Stop(ctx context.Context, tx pgx.Tx, hospital, no string) error {
	f, err := s.lock(ctx, tx, hospital, no)
	if errors.Is(err, clinic.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if !slices.Contains(States[f.State], Stopped) {
		return nil
	}
	return s.move(ctx, tx, f, Stopped, step{})
}

// Take is the module's side of the inbox: what the hospital's own pharmacy handed out is
// not handed out here any more.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	if e.Type != "inbound."+core.EventType(core.DrugsDispensed) {
		return nil
	}
	body, err := s.Heard(ctx, e.Inbound)
	if err != nil {
		return err
	}
	n, ok := body.(*core.DispenseNotice)
	if !ok {
		return nil
	}
	f, err := s.lock(ctx, tx, e.Hospital, n.No)
	if errors.Is(err, clinic.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	to := AtWindow
	if n.Returned {
		to = Returned
	}
	if !slices.Contains(States[f.State], to) {
		return nil // repeated, or it was handed out here
	}
	return s.move(ctx, tx, f, to, step{})
}

// Jobs lets lapse what nobody fetched in time.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{{Name: "fulfilment.lapse", Times: "@every 1m", Run: s.lapse}}
}

func (s *Service) lapse(ctx context.Context) error {
	_, err := s.Database.Exec(ctx, `with old as (
			update fulfilment.fulfilment set state = 'lapsed', code = null, updated_at = clock_timestamp()
			where state in ('ready', 'preparing') and valid_until <= clock_timestamp() returning hospital, no)
		insert into fulfilment.step (hospital, no, state, account) select hospital, no, 'lapsed', 0 from old`)
	if err != nil {
		return fmt.Errorf("lapse what nobody fetched: %w", err)
	}
	return nil
}

// tell the patient, when there is somebody who does.
func (s *Service) tell(ctx context.Context, tx pgx.Tx, f Fulfilment, event string) error {
	if s.Notices == nil {
		return nil
	}
	return s.Notices.Send(ctx, tx, f.account, event, map[string]string{"hospital": f.Hospital, "no": f.No})
}
