package prochis

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/mocks/books"
)

// scheduleDays is how far ahead the schedule of an empty database goes.
const scheduleDays = 14

// furnish puts in what the hospital knows before anybody writes; what is there stays.
func (h *HIS) furnish(ctx context.Context) error {
	batch := &pgx.Batch{}
	for _, d := range books.Departments {
		batch.Queue(`insert into ks (ksid, ksmc, sjksid, tybz) values ($1, $2, nullif($3, ''), $4) on conflict do nothing`, d.Code, d.Name, d.Parent, flag(d.Closed))
	}
	for _, d := range books.Doctors {
		batch.Queue(`insert into ys (ysid, ysxm, ksid, yszc) values ($1, $2, $3, $4) on conflict do nothing`, d.Code, d.Name, d.DepartmentCode, d.Title)
	}
	for _, d := range books.Drugs {
		batch.Queue(`insert into yp (ypid, ypmc, gg, jx, dw, jldw, jlxs, dj, yfid, ybbm, tybz, kcsl) values ($1, $2, $3, $4, $5, $6, $7, $8::text::numeric, $9, nullif($10, ''), $11, $12) on conflict do nothing`,
			d.Code, d.Name, d.Spec, d.Form, d.Unit, d.DoseUnit, d.DosePerUnit, d.Price, d.Pharmacy, d.InsuranceCode, flag(d.Closed), d.Stock)
	}
	p := books.Known
	batch.Queue(`insert into br (brid, kh, ptbh, xm, xb, csrq, zjlx, zjh, sjh, jzsj) select $1, $2, $3, $4, $5, $6, '身份证', $7, $8, his_now()
		where not exists (select 1 from br where brid = $1)`, p.PatientNo, p.CardNo, p.PersonID, p.Name, p.Sex, p.BirthDate, p.IDNo, p.Phone)
	queueSessions(batch, books.DaySessions(time.Now(), scheduleDays))
	if err := h.db.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("furnish: %w", err)
	}
	return nil
}

// Schedule puts sessions into the books; Period is morning or afternoon.
func (h *HIS) Schedule(ctx context.Context, sessions ...books.Session) error {
	batch := &pgx.Batch{}
	queueSessions(batch, sessions)
	return h.db.SendBatch(ctx, batch).Close()
}

// StopSession takes a session out of the schedule, what is booked stays.
func (h *HIS) StopSession(ctx context.Context, no string) error {
	_, err := h.db.Exec(ctx, `update pb set tzbz = '1' where pbid = $1`, no)
	return err
}

func queueSessions(batch *pgx.Batch, sessions []books.Session) {
	for _, s := range sessions {
		half := map[string]string{"morning": "上午", "afternoon": "下午"}[s.Period]
		batch.Queue(`insert into pb (pbid, ksid, ysid, rq, sjd, kssj, jssj, hs, ghf, tzbz) values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric, $10) on conflict do nothing`,
			s.No, s.DepartmentCode, s.DoctorCode, s.Date, half, s.Start, s.End, s.Places, books.Yuan(s.FeeFen), flag(s.Stopped))
	}
}

// flag is how the hospital writes what is out of use.
func flag(is bool) string {
	if is {
		return "1"
	}
	return "0"
}
