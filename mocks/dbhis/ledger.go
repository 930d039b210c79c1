package dbhis

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"hishub/mocks/books"
)

// Books reads what the hospital accepted out of its tables. See control.Hospital.
func (h *HIS) Books(ctx context.Context) (books.Export, error) {
	b := books.Export{Prescriptions: []books.Prescription{}, Settlements: []books.Settlement{}, Refunds: []books.Refund{},
		Voids: []books.Void{}, Journal: []books.Entry{}}
	for _, read := range []func(context.Context, *books.Export) error{h.prescriptions, h.settlements, h.refunds, h.voids, h.journal} {
		if err := read(ctx, &b); err != nil {
			return b, fmt.Errorf("read books: %w", err)
		}
	}
	return b, nil
}

// each scans all rows of a query; scan is called once a row.
func (h *HIS) each(ctx context.Context, query string, scan func(*sql.Rows) error) error {
	rows, err := h.db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// text is a column as text, "" for NULL: what both drivers give alike.
func (h *HIS) text(column string) string {
	if h.options.Driver == "mysql" {
		return "coalesce(cast(" + column + " as char), '')"
	}
	return "coalesce(cast(" + column + " as text), '')"
}

// moment is a time column as text with milliseconds.
func (h *HIS) moment(column string) string {
	if h.options.Driver == "mysql" {
		return "coalesce(date_format(" + column + ", '%Y-%m-%d %H:%i:%s.%f'), '')"
	}
	return "coalesce(to_char(" + column + ", 'YYYY-MM-DD HH24:MI:SS.MS'), '')"
}

// at reads a moment.
func at(text string) time.Time {
	t, _ := time.ParseInLocation("2006-01-02 15:04:05", text, books.Zone)
	return t
}

// second cuts a moment to whole seconds.
func second(text string) string {
	whole, _, _ := strings.Cut(text, ".")
	return whole
}

func fen(decimal string) int64 {
	f, _ := books.ParseYuan(decimal) // columns are decimal(12,2)
	return f
}

func (h *HIS) prescriptions(ctx context.Context, b *books.Export) error {
	place := map[int64]int{}
	err := h.each(ctx, `select m.id, m.cfh, m.his_no, `+h.text("m.jzh")+`, m.patid, m.xm, `+h.text("m.zje")+`, `+h.moment("m.clsj")+`,
		case when exists (select 1 from zjk_cf_zf z where z.yljgdm = m.yljgdm and z.cfh = m.cfh and z.yx = 1) then 'voided'
		     when m.fyzt = '1' then 'dispensed' when m.fyzt = '9' then 'returned'
		     when exists (select 1 from zjk_bill l where l.cfh = m.cfh and l.zfbz = '1') then 'settled' else 'saved' end
		from zjk_cf_main m where m.yx = 1 order by m.id`, func(rows *sql.Rows) error {
		var id int64
		var p books.Prescription
		var amount, when string
		err := rows.Scan(&id, &p.No, &p.HisNo, &p.VisitNo, &p.PatientID, &p.PatientName, &amount, &when, &p.State)
		p.AmountFen, p.At, p.Lines = fen(amount), at(when), []books.Line{}
		place[id] = len(b.Prescriptions)
		b.Prescriptions = append(b.Prescriptions, p)
		return err
	})
	if err != nil {
		return err
	}
	return h.each(ctx, `select tid, xh, ypdm, ypmc, `+h.text("gg")+`, `+h.text("dw")+`, `+h.text("sl")+`, `+h.text("dj")+`, `+h.text("je")+`
		from zjk_cf_detail where tid is not null order by tid, xh`, func(rows *sql.Rows) error {
		var header int64
		var line books.Line
		var amount string
		err := rows.Scan(&header, &line.No, &line.Code, &line.Name, &line.Spec, &line.Unit, &line.Qty, &line.Price, &amount)
		line.AmountFen = fen(amount)
		if i, ok := place[header]; ok {
			b.Prescriptions[i].Lines = append(b.Prescriptions[i].Lines, line)
		}
		return err
	})
}

func (h *HIS) settlements(ctx context.Context, b *books.Export) error {
	return h.each(ctx, `select j.ddh, j.sjh, j.cfhs, `+h.text("j.je")+`, `+h.text("j.zfqd")+`, `+h.text("j.jylsh")+`, `+h.text("j.czy")+`, `+
		h.moment("j.zfsj")+`, `+h.moment("j.jzsj")+`, case when j.cs = 1 then `+
		h.text("(select sum(t.je) from zjk_tf t where t.ddh = j.ddh and t.yx = 1)")+` else '' end, j.gh
		from zjk_jf j order by j.id`, func(rows *sql.Rows) error {
		var s books.Settlement
		var bills, amount, refunded, paid, booked string
		var registration int
		err := rows.Scan(&s.Order, &s.HisNo, &bills, &amount, &s.Channel, &s.ChannelNo, &s.Operator, &paid, &booked, &refunded, &registration)
		s.Bills = []string{}
		if bills != "" {
			s.Bills = strings.Split(bills, ",")
		}
		s.AmountFen, s.RefundedFen, s.PaidAt, s.At = fen(amount), fen(refunded), second(paid), at(booked)
		s.Registration = registration == 1
		b.Settlements = append(b.Settlements, s)
		return err
	})
}

func (h *HIS) refunds(ctx context.Context, b *books.Export) error {
	return h.each(ctx, `select t.tfdh, t.ddh, t.his_no, `+h.text("j.jylsh")+`, `+h.text("t.czy")+`, `+h.text("t.je")+`, `+h.moment("t.tfsj")+`, `+h.moment("t.clsj")+`, t.cz
		from zjk_tf t left join zjk_jf j on j.ddh = t.ddh and j.cs = 1 where t.yx = 1 order by t.id`, func(rows *sql.Rows) error {
		var r books.Refund
		var amount, given, booked string
		var reversal int
		err := rows.Scan(&r.No, &r.Order, &r.HisNo, &r.ChannelNo, &r.Operator, &amount, &given, &booked, &reversal)
		r.Reversal = reversal == 1
		r.AmountFen, r.RefundedAt, r.At = fen(amount), second(given), at(booked)
		b.Refunds = append(b.Refunds, r)
		return err
	})
}

func (h *HIS) voids(ctx context.Context, b *books.Export) error {
	return h.each(ctx, `select cfh, `+h.text("zfyy")+`, `+h.moment("clsj")+` from zjk_cf_zf where yx = 1 order by id`, func(rows *sql.Rows) error {
		var v books.Void
		var when string
		err := rows.Scan(&v.No, &v.Reason, &when)
		v.At = at(when)
		b.Voids = append(b.Voids, v)
		return err
	})
}

func (h *HIS) journal(ctx context.Context, b *books.Export) error {
	return h.each(ctx, `select `+h.moment("at")+`, operation, biz_key, effect, fault from his_journal order by id`, func(rows *sql.Rows) error {
		var e books.Entry
		var when string
		err := rows.Scan(&when, &e.Operation, &e.Key, &e.Effect, &e.Fault)
		e.At = at(when)
		b.Journal = append(b.Journal, e)
		return err
	})
}
