package consult

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/identity"
)

// Offer is what a doctor offers online.
type Offer struct {
	Doctor       string   `json:"doctor" doc:"code"`
	Department   string   `json:"department" minLength:"1" maxLength:"64" doc:"code"`
	Fee          core.Fen `json:"fee" minimum:"0" doc:"fen"`
	AcceptWithin int      `json:"accept_within" minimum:"1" maximum:"2880" doc:"minutes until a paid consultation goes back"`
	Lasts        int      `json:"lasts" minimum:"5" maximum:"10080" doc:"minutes"`
	Daily        int      `json:"daily" minimum:"1" maximum:"500" doc:"consultations a day"`
	Open         bool     `json:"open"`
}

// SetOffer says what a doctor offers; the doctor himself, or his hospital.
func (s *Service) SetOffer(ctx context.Context, hospital string, account int64, o Offer) (Offer, error) {
	if err := s.People.Licensed(ctx, account, hospital, identity.Physician, time.Now()); o.Open && err != nil {
		return o, fmt.Errorf("offer consultations: %w", err)
	}
	_, err := s.Database.Exec(ctx, `insert into consult.service (hospital, doctor, account, department, fee, accept_within, lasts, daily, open) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict (hospital, doctor) do update set account = excluded.account, department = excluded.department, fee = excluded.fee, accept_within = excluded.accept_within,
			lasts = excluded.lasts, daily = excluded.daily, open = excluded.open, updated_at = clock_timestamp()`,
		hospital, o.Doctor, account, o.Department, o.Fee, o.AcceptWithin, o.Lasts, o.Daily, o.Open)
	if err != nil {
		return o, fmt.Errorf("offer consultations: %w", err)
	}
	return o, nil
}

// Offers of a hospital's doctors that are open; clinic.ErrNotFound when there is no such hospital.
func (s *Service) Offers(ctx context.Context, hospital string) ([]Offer, error) {
	if _, err := s.Place(ctx, hospital); err != nil {
		return nil, err
	}
	rows, err := s.Database.Query(ctx, `select doctor, department, fee, accept_within, lasts, daily, open from consult.service where hospital = $1 and open order by doctor`, hospital)
	if err != nil {
		return nil, fmt.Errorf("list offers: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Offer])
}
