package prochis

import (
	"context"
	"fmt"
	"strings"

	"hishub/mocks/books"
)

// Edit changes the tables behind everybody's back. See control.Hospital.
func (h *HIS) Edit(ctx context.Context, e books.Edit) error {
	if err := e.Check(); err != nil {
		return err
	}
	var err error
	switch {
	case e.Twice != nil:
		err = h.option(ctx, "twice", map[bool]string{true: "1"}[*e.Twice])
	case e.Clock != nil:
		err = h.option(ctx, "clock", *e.Clock)
	case e.Add != nil:
		err = h.add(ctx, *e.Add)
	case e.AddReversed != nil:
		if err = h.add(ctx, *e.AddReversed); err == nil {
			err = h.reverse(ctx, e.AddReversed.Order)
		}
	case e.AddRefund != nil:
		err = h.addRefund(ctx, *e.AddRefund)
	case e.Settlement != "":
		err = h.editSettlement(ctx, e)
	case e.Refund != "":
		err = h.editRefund(ctx, e)
	case e.Prescription != "":
		err = h.become(ctx, e.Prescription, "zllb in ('5', '6', '7')", e.State)
	case e.Order != "":
		err = h.become(ctx, e.Order, "zllb in ('C', 'D')", e.State)
	}
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	return nil
}

// change runs a statement that must find something.
func (h *HIS) change(ctx context.Context, what, query string, args ...any) error {
	done, err := h.db.Exec(ctx, query, args...)
	if err == nil && done.RowsAffected() == 0 {
		err = fmt.Errorf("no %s", what)
	}
	return err
}

// option sets one of his_option, or takes it away.
func (h *HIS) option(ctx context.Context, name, value string) error {
	_, err := h.db.Exec(ctx, `with gone as (delete from his_option where name = $1 and $2 = '')
		insert into his_option (name, value) select $1, $2 where $2 <> '' on conflict (name) do update set value = excluded.value`, name, value)
	return err
}

func (h *HIS) add(ctx context.Context, s books.Settlement) error {
	registration := "0"
	if s.Registration {
		registration = "1"
	}
	_, err := h.db.Exec(ctx, `insert into jz (jzid, zy, nos, je, jslb, jylsh, jysj, czy, sfgh, zt, sj)
		values (coalesce(nullif($1, ''), his_no('J')), $2, $3, $4::text::numeric, $5, $6, coalesce(nullif($7, '')::timestamp, his_now()), $8, $9, '1',
			coalesce(nullif($7, '')::timestamp, his_now()))`,
		s.HisNo, s.Order, strings.Join(s.Bills, ","), books.Yuan(s.AmountFen), s.Channel, s.ChannelNo, s.PaidAt, s.Operator, registration)
	return err
}

func (h *HIS) reverse(ctx context.Context, order string) error {
	return h.change(ctx, "settlement "+order, `insert into tf (cxid, tkdh, jzid, zy, je, tksj, czy, sj, cz)
		select his_no('C'), '', jzid, zy, je, jysj, czy, sj, '1' from jz where zy = $1 and zt = '1' order by id limit 1`, order)
}

func (h *HIS) addRefund(ctx context.Context, r books.Refund) error {
	reversal := "0"
	if r.Reversal {
		reversal = "1"
	}
	return h.change(ctx, "settlement "+r.Order, `insert into tf (cxid, tkdh, jzid, zy, je, tksj, czy, sj, cz)
		select coalesce(nullif($2, ''), his_no('W')), $3, jzid, zy, $4::text::numeric, coalesce(nullif($5, '')::timestamp, his_now()), coalesce(nullif($6, ''), czy),
			coalesce(nullif($5, '')::timestamp, his_now()), $7 from jz where zy = $1 and zt = '1' order by id limit 1`,
		r.Order, r.HisNo, r.No, books.Yuan(r.AmountFen), r.RefundedAt, r.Operator, reversal)
}

func (h *HIS) editSettlement(ctx context.Context, e books.Edit) error {
	what, of := "settlement "+e.Settlement, " where zy = $1 and zt = '1'"
	switch {
	case e.Remove:
		return h.change(ctx, what, "delete from jz"+of, e.Settlement)
	case e.AmountFen != nil:
		return h.change(ctx, what, "update jz set je = $2::text::numeric"+of, e.Settlement, books.Yuan(*e.AmountFen))
	case e.Date != "":
		return h.change(ctx, what, "update jz set jysj = $2::text::timestamp, sj = $2::text::timestamp"+of, e.Settlement, e.Date)
	case e.Operator != "":
		return h.change(ctx, what, "update jz set czy = $2"+of, e.Settlement, e.Operator)
	case e.Reverse:
		return h.reverse(ctx, e.Settlement)
	}
	return h.change(ctx, what, `insert into jz (jzid, zy, nos, je, jslb, jylsh, jysj, czy, sfgh, zt, yxsj, sj)
		select his_no('J'), zy, nos, je, jslb, jylsh, jysj, czy, sfgh, zt, yxsj, sj from jz`+of+" order by id limit 1", e.Settlement)
}

func (h *HIS) editRefund(ctx context.Context, e books.Edit) error {
	what, of := "refund "+e.Refund, " where (tkdh = $1 or cxid = $1)"
	switch {
	case e.Remove:
		return h.change(ctx, what, "delete from tf"+of, e.Refund)
	case e.AmountFen != nil:
		return h.change(ctx, what, "update tf set je = $2::text::numeric"+of, e.Refund, books.Yuan(*e.AmountFen))
	case e.Date != "":
		return h.change(ctx, what, "update tf set tksj = $2::text::timestamp, sj = $2::text::timestamp"+of, e.Refund, e.Date)
	case e.Operator != "":
		return h.change(ctx, what, "update tf set czy = $2"+of, e.Refund, e.Operator)
	}
	return h.change(ctx, what, `insert into tf (cxid, tkdh, jzid, zy, je, tksj, czy, sj, cz)
		select his_no('T'), tkdh, jzid, zy, je, tksj, czy, sj, cz from tf`+of+" order by id limit 1", e.Refund)
}

// states of yz.
var states = map[string]string{books.Saved: "1", books.Settled: "2", books.Dispensed: "4", books.Performed: "4", books.Returned: "5", books.Voided: "9"}

func (h *HIS) become(ctx context.Context, no, kind, state string) error {
	return h.change(ctx, "prescription or order "+no, `update yz set zt = $2, zfyy = case when $2 = '9' then '院内作废' else zfyy end,
		zfsj = case when $2 = '9' then his_now() else zfsj end where wbdh = $1 and `+kind, no, states[state])
}
