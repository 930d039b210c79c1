package dbhis

import (
	"context"
	"fmt"
	"strings"

	"hishub/mocks/books"
)

// Edit changes the tables behind everybody's back. See control.Hospital. This
// hospital takes no orders for tests.
func (h *HIS) Edit(ctx context.Context, e books.Edit) error {
	if err := e.Check(); err != nil {
		return err
	}
	var err error
	switch {
	case e.Twice != nil:
		err = h.option(ctx, "twice", map[bool]string{true: "1"}[*e.Twice])
	case e.Clock != nil:
		if err = h.option(ctx, "clock", *e.Clock); err == nil {
			h.clock.Store(*e.Clock)
		}
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
		err = h.become(ctx, e.Prescription, e.State)
	default:
		err = fmt.Errorf("this hospital takes no orders")
	}
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	return nil
}

// change runs a statement that must find something.
func (h *HIS) change(ctx context.Context, what, query string, args ...any) error {
	done, err := h.db.ExecContext(ctx, h.bind(query), args...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err == nil && n == 0 {
		return fmt.Errorf("no %s", what)
	}
	return nil
}

// option sets one of his_option, or takes it away.
func (h *HIS) option(ctx context.Context, name, value string) error {
	_, err := h.db.ExecContext(ctx, h.bind("delete from his_option where name = ?"), name)
	if err == nil && value != "" {
		_, err = h.db.ExecContext(ctx, h.bind("insert into his_option (name, value) values (?, ?)"), name, value)
	}
	return err
}

// number is the next one of the hospital.
func (h *HIS) number(ctx context.Context, letter string) (string, error) {
	next := "select nextval('his_no_seq')"
	if h.options.Driver == "mysql" {
		next = "select nextval(his_no_seq)"
	}
	var serial int64
	err := h.db.QueryRowContext(ctx, next).Scan(&serial)
	return fmt.Sprintf("%s%07d", letter, serial), err
}

func (h *HIS) add(ctx context.Context, s books.Settlement) error {
	if s.PaidAt == "" {
		s.PaidAt = h.now()
	}
	if s.HisNo == "" {
		s.HisNo = "S-" + s.Order
	}
	registration := 0
	if s.Registration {
		registration = 1
	}
	_, err := h.db.ExecContext(ctx, h.bind("insert into zjk_jf (ddh, sjh, cfhs, je, zfqd, jylsh, zfsj, czy, jzsj, gh) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
		s.Order, s.HisNo, strings.Join(s.Bills, ","), books.Yuan(s.AmountFen), s.Channel, s.ChannelNo, s.PaidAt, s.Operator, s.PaidAt, registration)
	return err
}

func (h *HIS) reverse(ctx context.Context, order string) error {
	no, err := h.number(ctx, "C")
	if err != nil {
		return err
	}
	return h.change(ctx, "settlement "+order, `insert into zjk_tf (yljgdm, tfdh, ddh, sjh, je, tfsj, tfyy, czy, czbz, his_no, clsj, bb, yx, cz)
		select 'NY0001', '', ddh, sjh, je, zfsj, '冲正', czy, '2', ?, jzsj, `+freeOf("''")+`, 1, 1 from zjk_jf where ddh = ? and cs = 1`, no, order)
}

// freeOf is what makes a further row of a refund number unique.
func freeOf(tfdh string) string {
	return "(select coalesce(max(o.bb), -1) + 1 from zjk_tf o where o.yljgdm = 'NY0001' and o.tfdh = " + tfdh + ")"
}

func (h *HIS) addRefund(ctx context.Context, r books.Refund) error {
	if r.HisNo == "" {
		var err error
		if r.HisNo, err = h.number(ctx, "W"); err != nil {
			return err
		}
	}
	if r.RefundedAt == "" {
		r.RefundedAt = h.now()
	}
	reversal := 0
	if r.Reversal {
		reversal = 1
	}
	var paid struct{ receipt, operator string }
	err := h.db.QueryRowContext(ctx, h.bind("select sjh, coalesce(czy, '') from zjk_jf where ddh = ? and cs = 1"), r.Order).Scan(&paid.receipt, &paid.operator)
	if err != nil {
		return fmt.Errorf("settlement %s: %w", r.Order, err)
	}
	if r.Operator == "" {
		r.Operator = paid.operator
	}
	var free int64
	if err := h.db.QueryRowContext(ctx, h.bind("select coalesce(max(bb), -1) + 1 from zjk_tf where yljgdm = 'NY0001' and tfdh = ?"), r.No).Scan(&free); err != nil {
		return err
	}
	_, err = h.db.ExecContext(ctx, h.bind(`insert into zjk_tf (yljgdm, tfdh, ddh, sjh, je, tfsj, tfyy, czy, czbz, his_no, clsj, bb, yx, cz)
		values ('NY0001', ?, ?, ?, ?, ?, '窗口退费', ?, '2', ?, ?, ?, 1, ?)`),
		r.No, r.Order, paid.receipt, books.Yuan(r.AmountFen), r.RefundedAt, r.Operator, r.HisNo, r.RefundedAt, free, reversal)
	return err
}

func (h *HIS) editSettlement(ctx context.Context, e books.Edit) error {
	what, of := "settlement "+e.Settlement, " where ddh = ?"
	switch {
	case e.Remove:
		return h.change(ctx, what, "delete from zjk_jf"+of, e.Settlement)
	case e.AmountFen != nil:
		return h.change(ctx, what, "update zjk_jf set je = ?"+of, books.Yuan(*e.AmountFen), e.Settlement)
	case e.Date != "":
		return h.change(ctx, what, "update zjk_jf set zfsj = ?, jzsj = ?"+of, e.Date, e.Date, e.Settlement)
	case e.Operator != "":
		return h.change(ctx, what, "update zjk_jf set czy = ?"+of, e.Operator, e.Settlement)
	case e.Reverse:
		return h.reverse(ctx, e.Settlement)
	}
	no, err := h.number(ctx, "S")
	if err != nil {
		return err
	}
	return h.change(ctx, what, `insert into zjk_jf (ddh, cs, sjh, cfhs, je, zfqd, jylsh, zfsj, czy, jzsj, gh)
		select j.ddh, (select max(o.cs) + 1 from zjk_jf o where o.ddh = j.ddh), ?, j.cfhs, j.je, j.zfqd, j.jylsh, j.zfsj, j.czy, j.jzsj, j.gh
		from zjk_jf j where j.ddh = ? and j.cs = 1`, no, e.Settlement)
}

func (h *HIS) editRefund(ctx context.Context, e books.Edit) error {
	what, of := "refund "+e.Refund, " where yx = 1 and (tfdh = ? or his_no = ?)"
	switch {
	case e.Remove:
		return h.change(ctx, what, "delete from zjk_tf"+of, e.Refund, e.Refund)
	case e.AmountFen != nil:
		return h.change(ctx, what, "update zjk_tf set je = ?"+of, books.Yuan(*e.AmountFen), e.Refund, e.Refund)
	case e.Date != "":
		return h.change(ctx, what, "update zjk_tf set tfsj = ?, clsj = ?"+of, e.Date, e.Date, e.Refund, e.Refund)
	case e.Operator != "":
		return h.change(ctx, what, "update zjk_tf set czy = ?"+of, e.Operator, e.Refund, e.Refund)
	}
	no, err := h.number(ctx, "T")
	if err != nil {
		return err
	}
	return h.change(ctx, what, `insert into zjk_tf (yljgdm, tfdh, ddh, sjh, je, tfsj, tfyy, czy, czbz, his_no, clsj, bb, yx, cz)
		select t.yljgdm, t.tfdh, t.ddh, t.sjh, t.je, t.tfsj, t.tfyy, t.czy, t.czbz, ?, t.clsj, `+freeOf("t.tfdh")+`, 1, t.cz
		from zjk_tf t`+of+" order by t.id limit 1", no, e.Refund, e.Refund)
}

// become makes of a prescription what the hospital did with it.
func (h *HIS) become(ctx context.Context, no, state string) error {
	what := "prescription " + no
	switch state {
	case books.Voided:
		id, err := h.number(ctx, "V")
		if err != nil {
			return err
		}
		return h.change(ctx, what, `insert into zjk_cf_zf (yljgdm, cfh, zfyy, zfsj, czbz, his_no, clsj, yx)
			select m.yljgdm, m.cfh, '院内作废', ?, '2', ?, ?, 1 from zjk_cf_main m where m.cfh = ? and m.yx = 1`, h.now(), id, h.now(), no)
	case books.Saved, books.Settled:
		return h.change(ctx, what, "update zjk_cf_main set fyzt = '0' where cfh = ? and yx = 1", no)
	}
	return h.change(ctx, what, "update zjk_cf_main set fyzt = ? where cfh = ? and yx = 1", map[string]string{books.Dispensed: "1", books.Returned: "9"}[state], no)
}
