package fulfilment

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/identity"
	"hishub/platform/rx"
)

// ErrCode: the pick-up code does not hold.
var ErrCode = fmt.Errorf("%w: pick-up code", clinic.ErrRule)

// HandOut gives the drugs to the patient who has the code.
func (s *Service) HandOut(ctx context.Context, p clinic.Person, hospital, no, code string, checks Checks) (Fulfilment, error) {
	var wrong error // kept though nothing is handed out
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		return s.handOut(ctx, tx, outbox, p, hospital, no, checks, PickedUp, func(f Fulfilment) error {
			switch {
			case f.code == nil:
				wrong = fmt.Errorf("%w: none holds; the patient asks for a new one", ErrCode)
			case f.tries >= maxTries:
				wrong = fmt.Errorf("%w: too many wrong tries; the patient asks for a new one", ErrCode)
			case subtle.ConstantTimeCompare(f.code, s.digest(hospital, no, code)) != 1:
				wrong = fmt.Errorf("%w: it is another", ErrCode)
				_, err := tx.Exec(ctx, `update fulfilment.fulfilment set tries = tries + 1 where hospital = $1 and no = $2`, hospital, no)
				return errors.Join(err, errCounted)
			}
			return wrong
		}, "", "")
	})
	if err == nil && wrong != nil {
		err = wrong
	}
	if err != nil {
		return Fulfilment{}, fmt.Errorf("hand out: %w", err)
	}
	return s.Get(ctx, hospital, no)
}

// errCounted ends a handing out whose wrong try is to be kept.
var errCounted = errors.New("wrong try")

// Ship hands the drugs to a carrier: one that the hub knows says the tracking number itself.
func (s *Service) Ship(ctx context.Context, p clinic.Person, hospital, no, carrier, tracking string, checks Checks) (Fulfilment, error) {
	f, err := s.Get(ctx, hospital, no)
	if err == nil {
		_, err = States.Move(f.State, Shipped)
	}
	if err == nil {
		err = checks.all()
	}
	if err == nil {
		err = s.Licences.Licensed(ctx, p.Account, hospital, identity.PharmacistLicence, time.Now())
	}
	var to Address
	if err == nil {
		to, err = s.addressOf(f)
	}
	if err != nil {
		return f, fmt.Errorf("ship: %w", err)
	}
	for _, c := range s.Carriers {
		if c.Name() == carrier {
			if tracking, err = c.Collect(ctx, hospital, no, to); err != nil {
				return f, fmt.Errorf("ship: ask the carrier: %w", err)
			}
		}
	}
	if carrier == "" || tracking == "" {
		return f, core.Problems{{Field: "tracking", What: "missing: this carrier does not tell it by itself"}}
	}
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		return s.handOut(ctx, tx, outbox, p, hospital, no, checks, Shipped, func(Fulfilment) error {
			_, err := tx.Exec(ctx, `update fulfilment.fulfilment set carrier = $3, tracking = $4 where hospital = $1 and no = $2`, hospital, no, carrier, tracking)
			if clinic.Duplicate(err) {
				return core.Problems{{Field: "tracking", What: "is another parcel's"}}
			}
			return err
		}, carrier, tracking)
	})
	if err != nil {
		return f, fmt.Errorf("ship: %w", err)
	}
	return s.Get(ctx, hospital, no)
}

// handOut is what all handing out has in common. The prescription is held first, then what
// is ours: rx takes its locks in that order, too.
func (s *Service) handOut(ctx context.Context, tx pgx.Tx, outbox core.Outbox, p clinic.Person, hospital, no string, checks Checks, to State, more func(Fulfilment) error, carrier, tracking string) error {
	prescription, err := s.Prescriptions.Hold(ctx, tx, hospital, no)
	if err != nil {
		return err
	}
	f, err := s.lock(ctx, tx, hospital, no)
	if err != nil {
		return err
	}
	at, err := now(ctx, tx)
	if err != nil {
		return err
	}
	if err := s.Licences.Licensed(ctx, p.Account, hospital, identity.PharmacistLicence, at); err != nil {
		return err
	}
	if prescription.ValidUntil == nil || at.After(*prescription.ValidUntil) {
		return fmt.Errorf("%w: validity: the prescription is not valid any more", clinic.ErrRule)
	}
	if prescription.State != rx.Paid && prescription.State != rx.SentHIS {
		return fmt.Errorf("%w: the prescription is %s", clinic.ErrState, prescription.State)
	}
	if _, err := States.Move(f.State, to); err != nil {
		return err
	}
	if err := checks.all(); err != nil {
		return err
	}
	if err := more(f); errors.Is(err, errCounted) {
		return nil
	} else if err != nil {
		return err
	}
	if err := s.Prescriptions.Hand(ctx, tx, hospital, no, false); err != nil {
		return err
	}
	if err := s.move(ctx, tx, f, to, step{account: p.Account, code: p.Code(clinic.Pharmacist, hospital), checks: "who,drug,dose,validity"}); err != nil {
		return err
	}
	f.Carrier, f.Tracking = carrier, tracking
	if err := s.report(ctx, outbox, prescription, f, core.DispenseState(to), at); err != nil {
		return err
	}
	return s.tell(ctx, tx, f, "fulfilment."+string(to))
}

// Return takes handed out drugs back.
func (s *Service) Return(ctx context.Context, p clinic.Person, hospital, no, reason string) (Fulfilment, error) {
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		prescription, err := s.Prescriptions.Hold(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		f, err := s.lock(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		at, err := now(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.Licences.Licensed(ctx, p.Account, hospital, identity.PharmacistLicence, at); err != nil {
			return err
		}
		if err := s.move(ctx, tx, f, Returned, step{account: p.Account, code: p.Code(clinic.Pharmacist, hospital), reason: reason}); err != nil {
			return err
		}
		if err := s.Prescriptions.Hand(ctx, tx, hospital, no, true); err != nil {
			return err
		}
		if err := s.report(ctx, outbox, prescription, f, "returned", at); err != nil {
			return err
		}
		return s.tell(ctx, tx, f, "fulfilment.returned")
	})
	if err != nil {
		return Fulfilment{}, fmt.Errorf("take back: %w", err)
	}
	return s.Get(ctx, hospital, no)
}

// News is what a carrier says of a parcel: it arrived, or was signed for. What it said
// before, and what comes late, is nothing.
func (s *Service) News(ctx context.Context, carrier, tracking string, to State) error {
	f, err := s.one(ctx, s.Database, `carrier = $1 and tracking = $2 and tracking <> ''`, carrier, tracking)
	if err != nil {
		return fmt.Errorf("hear of a parcel: %w", err)
	}
	if _, err = s.travel(ctx, f.Hospital, f.No, to, step{}); errors.Is(err, clinic.ErrState) {
		return nil
	}
	return err
}

// Arrive says, in place of a carrier that does not, where a parcel is.
func (s *Service) Arrive(ctx context.Context, p clinic.Person, hospital, no string, to State) (Fulfilment, error) {
	return s.travel(ctx, hospital, no, to, step{account: p.Account})
}

// travel moves a parcel on; the HIS hears when it was signed for.
func (s *Service) travel(ctx context.Context, hospital, no string, to State, by step) (Fulfilment, error) {
	if to != Arrived && to != Signed {
		return Fulfilment{}, core.Problems{{Field: "state", What: "is none of arrived, signed"}}
	}
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		prescription, err := s.Prescriptions.Hold(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		f, err := s.lock(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		if err := s.move(ctx, tx, f, to, by); err != nil {
			return err
		}
		at, err := now(ctx, tx)
		if err != nil {
			return err
		}
		if to == Arrived {
			return s.tell(ctx, tx, f, "fulfilment.arrived")
		}
		return s.report(ctx, outbox, prescription, f, "delivered", at)
	})
	if err != nil {
		return Fulfilment{}, fmt.Errorf("move a parcel on: %w", err)
	}
	return s.Get(ctx, hospital, no)
}

// report tells the HIS what became of the drugs; one that has no such transaction is not
// told.
func (s *Service) report(ctx context.Context, outbox core.Outbox, p rx.Rx, f Fulfilment, state core.DispenseState, at time.Time) error {
	_, err := outbox.Enqueue(ctx, f.Hospital, core.Message{Kind: core.DispenseReport, Body: &core.Dispense{
		No: f.No, VisitNo: p.Content.VisitNo, PatientNo: p.Content.PatientNo, HisNo: p.HisNo, State: state, Carrier: f.Carrier, TrackingNo: f.Tracking, At: at,
	}})
	if errors.Is(err, core.ErrCannot) {
		return nil
	}
	return err
}
