package order

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Refund decides that money goes back; the payment module has the channel pay it. The
// same number again with the same content changes nothing.
func (s *Service) Refund(ctx context.Context, tx pgx.Tx, outbox core.Outbox, no string, r Refund) (Order, error) {
	o, err := s.Lock(ctx, tx, no)
	if err != nil {
		return o, err
	}
	if known, err := s.refundKnown(ctx, tx, o, r); known || err != nil {
		return o, err
	}
	if o.State != Paid {
		return o, fmt.Errorf("refund order: %w: it is %s", clinic.ErrState, o.State)
	}
	if err := s.refundable(ctx, tx, o, r); err != nil {
		return o, err
	}
	reason, err := s.Vault.Seal([]byte(r.Reason), "refund reason", r.No)
	if err != nil {
		return o, err
	}
	if _, err := tx.Exec(ctx, `insert into clinic_order.refund (no, order_no, amount, lines, parts, by_window, reason) values ($1, $2, $3, coalesce($4::integer[], '{}'), coalesce($5::bigint[], '{}'), $6, $7)`,
		r.No, no, r.Amount, r.Lines, r.Parts, r.ByWindow, reason); err != nil {
		return o, err
	}
	if err := s.Subjects[o.Kind].Refunded(ctx, tx, outbox, o, r); err != nil {
		return o, err
	}
	if _, err := tx.Exec(ctx, `update clinic_order.orders set refunded = refunded + $2, updated_at = clock_timestamp() where no = $1`, no, r.Amount); err != nil {
		return o, err
	}
	if o.Refunded += r.Amount; o.Refunded == o.Amount {
		return s.move(ctx, tx, o, Refunded, "")
	}
	return s.Lock(ctx, tx, no)
}

func (s *Service) refundKnown(ctx context.Context, tx pgx.Tx, o Order, r Refund) (bool, error) {
	var of string
	var amount core.Fen
	err := tx.QueryRow(ctx, `select order_no, amount from clinic_order.refund where no = $1`, r.No).Scan(&of, &amount)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case of != o.No || amount != r.Amount:
		return false, fmt.Errorf("refund order: %w: this refund was made before, otherwise", clinic.ErrRule)
	}
	return true, nil
}

// refundable checks a refund against what was given back before: of the whole, and of
// each line.
func (s *Service) refundable(ctx context.Context, tx pgx.Tx, o Order, r Refund) error {
	if r.Amount <= 0 || r.Amount > o.Amount-o.Refunded {
		return core.Problems{{Field: "amount", What: fmt.Sprintf("%s of %s yuan were given back before", o.Refunded, o.Amount)}}
	}
	if len(r.Lines) == 0 {
		return nil
	}
	if len(r.Parts) > 0 && len(r.Parts) != len(r.Lines) {
		return core.Problems{{Field: "parts", What: fmt.Sprintf("%d for %d lines", len(r.Parts), len(r.Lines))}}
	}
	gone, err := s.Gone(ctx, tx, o)
	if err != nil {
		return err
	}
	var total core.Fen
	for i, line := range r.Lines {
		rest, err := o.Rest(gone, i, line)
		if err != nil {
			return err
		}
		part := o.Lines[line].Amount
		if len(r.Parts) > 0 {
			part = r.Parts[i]
		}
		if part > rest || part < 0 {
			return core.Problems{{Field: fmt.Sprintf("lines[%d]", i), What: fmt.Sprintf("%s of %s yuan of it can still be given back", rest, o.Lines[line].Amount)}}
		}
		gone[line] = o.Lines[line].Amount // named once
		total += part
	}
	if total != r.Amount {
		return core.Problems{{Field: "amount", What: fmt.Sprintf("these lines give %s yuan", total)}}
	}
	return nil
}

// Gone is how much of each line went back, or is on its way. The caller holds the order.
func (s *Service) Gone(ctx context.Context, tx pgx.Tx, o Order) (map[int]core.Fen, error) {
	rows, err := tx.Query(ctx, `select l, part from clinic_order.refund f, unnest(f.lines, f.parts) as u(l, part) where f.order_no = $1`, o.No)
	if err != nil {
		return nil, fmt.Errorf("look for lines that went back: %w", err)
	}
	type given struct {
		Line int
		Part *core.Fen
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[given])
	gone := map[int]core.Fen{}
	for _, g := range all {
		switch {
		case g.Part != nil:
			gone[g.Line] += *g.Part
		case g.Line >= 0 && g.Line < len(o.Lines):
			gone[g.Line] = o.Lines[g.Line].Amount
		}
	}
	return gone, err
}

// Rest is what can still go back of a line, the i-th that somebody names.
func (o Order) Rest(gone map[int]core.Fen, i, line int) (core.Fen, error) {
	if line < 0 || line >= len(o.Lines) {
		return 0, core.Problems{{Field: fmt.Sprintf("lines[%d]", i), What: fmt.Sprintf("the order has lines 0 to %d", len(o.Lines)-1)}}
	}
	was, some := gone[line]
	if some && was >= o.Lines[line].Amount {
		return 0, core.Problems{{Field: fmt.Sprintf("lines[%d]", i), What: "was given back before"}}
	}
	return o.Lines[line].Amount - was, nil
}

// Returned is called when a channel has paid a refund. Again it does nothing.
func (s *Service) Returned(ctx context.Context, tx pgx.Tx, outbox core.Outbox, refundNo string, b Back) error {
	r := Refund{No: refundNo}
	var no string
	err := tx.QueryRow(ctx, `select order_no from clinic_order.refund where no = $1`, refundNo).Scan(&no)
	if errors.Is(err, pgx.ErrNoRows) {
		return clinic.ErrNotFound
	} else if err != nil {
		return err
	}
	o, err := s.Lock(ctx, tx, no)
	if err != nil {
		return err
	}
	var reason []byte
	err = tx.QueryRow(ctx, `update clinic_order.refund set returned_at = $2 where no = $1 and returned_at is null returning amount, lines, by_window, reason`, refundNo, b.At).
		Scan(&r.Amount, &r.Lines, &r.ByWindow, &reason)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // told before
	} else if err != nil {
		return err
	}
	if r.ByWindow {
		return nil
	}
	if reason, err = s.Vault.Open(reason, "refund reason", refundNo); err != nil {
		return err
	}
	r.Reason = string(reason)
	return s.Subjects[o.Kind].Returned(ctx, tx, outbox, o, r, b)
}

// StartedByWindow says of a refund whether the HIS's window has started it, too: the HIS then
// need not be told, unless it was before. The caller holds the order.
func (s *Service) StartedByWindow(ctx context.Context, tx pgx.Tx, refundNo string, did bool) error {
	_, err := tx.Exec(ctx, `update clinic_order.refund set by_window = $2 where no = $1 and returned_at is null`, refundNo, did)
	return err
}

// Undo takes back a refund that the channel refused for good; ErrEnded when what was paid for
// is over meanwhile, most often by the refund itself.
func (s *Service) Undo(ctx context.Context, tx pgx.Tx, refundNo string) error {
	var no string
	var amount core.Fen
	err := tx.QueryRow(ctx, `select order_no, amount from clinic_order.refund where no = $1`, refundNo).Scan(&no, &amount)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	o, err := s.Lock(ctx, tx, no)
	if err != nil {
		return err
	}
	if subject, ok := s.Subjects[o.Kind].(Ender); ok {
		if over, err := subject.Ended(ctx, tx, o); over || err != nil {
			return cmp.Or(err, ErrEnded)
		}
	}
	tag, err := tx.Exec(ctx, `delete from clinic_order.refund where no = $1 and returned_at is null`, refundNo)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `update clinic_order.orders set refunded = refunded - $2, state = $3, updated_at = clock_timestamp() where no = $1`, no, amount, Paid)
	return err
}
