package dbhis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"hishub/mocks/books"
)

// Notice is a row that the hospital leaves for the platform.
type Notice struct {
	// Kind is refund (the window gives money back), dispensed or returned.
	Kind string `json:"kind"`
	// No is the hospital's own number of it.
	No string `json:"no"`
	// Order and AmountFen are of a refund; Reversal takes a booking back that nobody paid.
	Order     string `json:"order,omitempty"`
	AmountFen int64  `json:"amount_fen,omitempty"`
	Reversal  bool   `json:"reversal,omitempty"`
	// Prescription is ours, of what was dispensed or taken back.
	Prescription string `json:"prescription,omitempty"`
	Reason       string `json:"reason,omitempty"`
	// What the platform answered: State "" not yet, done, refused, invalid.
	State  string `json:"state,omitempty"`
	Words  string `json:"words,omitempty"`
	Refund string `json:"refund,omitempty"`
	// Booked: the refund is in the hospital's own books.
	Booked bool `json:"booked,omitempty"`
}

var (
	noticeCodes  = map[string]string{"refund": "1", "dispensed": "2", "returned": "3"}
	noticeStates = map[string]string{"0": "", "1": "done", "2": "refused", "9": "invalid"}
)

// Tell leaves a row for the platform.
func (h *HIS) Tell(ctx context.Context, n Notice) error {
	code := noticeCodes[n.Kind]
	switch {
	case code == "":
		return fmt.Errorf("notice: kind %q: want refund, dispensed or returned", n.Kind)
	case n.No == "":
		return errors.New("notice: say no, the hospital's number of it")
	}
	reversal := "0"
	if n.Reversal {
		reversal = "1"
	}
	var amount any
	if n.Kind == "refund" {
		amount = books.Yuan(n.AmountFen)
	}
	_, err := h.db.ExecContext(ctx, h.bind("insert into zjk_tz (yljgdm, lx, dh, ddh, cfh, je, yy, cz, czy, sj) values ('NY0001', ?, ?, ?, ?, ?, ?, ?, 'CK01', ?)"),
		code, n.No, orNull(n.Order), orNull(n.Prescription), amount, orNull(n.Reason), reversal, h.now())
	return err
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Notices are all rows in their order.
func (h *HIS) Notices(ctx context.Context) ([]Notice, error) {
	found, err := h.db.QueryContext(ctx, `select lx, dh, coalesce(ddh, ''), coalesce(cfh, ''), `+h.text("je")+`, cz, coalesce(yy, ''),
		clbz, coalesce(clyj, ''), coalesce(tkdh, ''), yx from zjk_tz order by id`)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	all := []Notice{}
	for found.Next() {
		var n Notice
		var code, amount, reversal, state string
		var booked int
		if err := found.Scan(&code, &n.No, &n.Order, &n.Prescription, &amount, &reversal, &n.Reason, &state, &n.Words, &n.Refund, &booked); err != nil {
			return nil, err
		}
		for kind, c := range noticeCodes {
			if c == code {
				n.Kind = kind
			}
		}
		n.AmountFen = fen(amount)
		n.State, n.Reversal, n.Booked = noticeStates[state], reversal == "1", booked == 1
		all = append(all, n)
	}
	return all, found.Err()
}

// bookAgreed enters the refunds that the platform agreed to into the books.
func (h *HIS) bookAgreed(ctx context.Context) error {
	rows, err := h.agreed(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := h.addRefund(ctx, r.refund); err != nil {
			return err
		}
		if err := h.change(ctx, "notice", "update zjk_tz set yx = 1 where id = ?", r.id); err != nil {
			return err
		}
	}
	return nil
}

type agreement struct {
	id     int64
	refund books.Refund
}

func (h *HIS) agreed(ctx context.Context) (all []agreement, err error) {
	found, err := h.db.QueryContext(ctx, "select id, dh, ddh, "+h.text("je")+", coalesce(tkdh, ''), cz from zjk_tz where lx = '1' and clbz = '1' and yx = 0 order by id")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var a agreement
		var amount, reversal string
		if err := found.Scan(&a.id, &a.refund.HisNo, &a.refund.Order, &amount, &a.refund.No, &reversal); err != nil {
			return nil, err
		}
		a.refund.AmountFen, a.refund.Reversal = fen(amount), reversal == "1"
		all = append(all, a)
	}
	return all, found.Err()
}

func (h *HIS) serveNotice(w http.ResponseWriter, r *http.Request) {
	var n Notice
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<16))
	d.DisallowUnknownFields()
	err := d.Decode(&n)
	if err == nil {
		err = h.Tell(r.Context(), n)
	}
	said(w, map[string]bool{"ok": true}, err)
}

func (h *HIS) serveNotices(w http.ResponseWriter, r *http.Request) {
	all, err := h.Notices(r.Context())
	said(w, all, err)
}

func said(w http.ResponseWriter, answer any, err error) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		answer = map[string]string{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(answer)
}
