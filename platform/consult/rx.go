package consult

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
	"hishub/platform/rx"
)

// Rx is a consultation as the prescription module sees it.
func (s *Service) Rx() rx.Consults { return forRx{s} }

type forRx struct{ s *Service }

// Active implements rx.Consults.
func (f forRx) Active(ctx context.Context, hospital, no, doctor string) (rx.Consult, error) {
	k, err := f.s.Get(ctx, hospital, no)
	switch {
	case err != nil:
		return rx.Consult{}, err
	case doctor == "" || k.Doctor != doctor:
		return rx.Consult{}, clinic.ErrNotFound
	case k.State != Active:
		return rx.Consult{}, fmt.Errorf("%w: the consultation is %s", clinic.ErrState, k.State)
	}
	return f.of(ctx, k)
}

// Get implements rx.Consults.
func (f forRx) Get(ctx context.Context, hospital, no string) (rx.Consult, error) {
	k, err := f.s.Get(ctx, hospital, no)
	if err != nil {
		return rx.Consult{}, err
	}
	return f.of(ctx, k)
}

func (f forRx) of(ctx context.Context, k Consult) (rx.Consult, error) {
	out := rx.Consult{No: k.No, VisitNo: k.No, Patient: k.Patient, Account: k.account, DepartmentCode: k.Department, DoctorCode: k.Doctor, DoctorAccount: k.doctorAccount,
		Complaint: k.Details.Complaint, History: k.Details.History, Allergies: k.Details.Allergies}
	if k.StartedAt != nil {
		out.StartedAt = *k.StartedAt
	}
	d, err := f.s.Doctors.Doctor(ctx, k.Hospital, k.Doctor)
	if err != nil && !errors.Is(err, clinic.ErrNotFound) {
		return out, err
	}
	out.DoctorName = d.Name
	all, err := f.s.Doctors.Departments(ctx, k.Hospital)
	for _, x := range all {
		if x.Code == k.Department {
			out.DepartmentName = x.Name
		}
	}
	return out, err
}

// Card tells something in a consultation's conversation (rx.Cards).
func (s *Service) Card(ctx context.Context, tx pgx.Tx, hospital, no, kind, about, text string) error {
	var conversation string
	err := tx.QueryRow(ctx, `select conversation from consult.consult where hospital = $1 and no = $2`, hospital, no).Scan(&conversation)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && conversation == "" {
		return nil
	} else if err != nil {
		return err
	}
	return s.Chat.Card(ctx, tx, conversation, kind, about, text)
}
