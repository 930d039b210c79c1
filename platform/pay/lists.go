package pay

import (
	"context"
	"time"

	"hishub/core"
)

// Undecided are a hospital's payments and refunds that wait for a person.
func (s *Service) Undecided(ctx context.Context, hospital string, limit int) (u Undecidable, err error) {
	if u.Attempts, err = many(ctx, s.Database, `hospital = $1 and (state in ('unknown', 'review') or state = 'succeeded' and told = 'go_back' and got > (select coalesce(sum(r.amount), 0)
		from pay.refund r where r.attempt = pay.attempt.id and r.state not in ('requested', 'declined', 'dropped'))) order by id limit $2`, hospital, limit); err != nil {
		return u, err
	}
	u.Refunds, err = s.refunds(ctx, s.Database, `hospital = $1 and state in ('requested', 'failed', 'unknown') order by created_at limit $2`, hospital, limit)
	return u, err
}

// Filter of payments or refunds; what is empty does not count.
type Filter struct {
	State   string
	Told    Told
	Channel core.Channel // of payments
	Origin  Origin       // of refunds
	Order   string
	// From is inclusive, To exclusive: when it was begun.
	From, To time.Time
	// Before is Next of the page before.
	Before string
	Limit  int
}

// period has no end where a filter has none.
func (f Filter) period() (from, to *time.Time) {
	if !f.From.IsZero() {
		from = &f.From
	}
	if !f.To.IsZero() {
		to = &f.To
	}
	return from, to
}

// AttemptPage is a page of payments.
type AttemptPage struct {
	Attempts []Attempt `json:"attempts" doc:"newest first"`
	Next     string    `json:"next,omitempty" doc:"before of the next page; missing: there is none"`
}

// Attempts are a hospital's payments, the newest first. A cursor of nothing of the
// hospital's gives an empty page.
func (s *Service) Attempts(ctx context.Context, hospital string, f Filter) (page AttemptPage, err error) {
	from, to := f.period()
	page.Attempts, err = many(ctx, s.Database, `hospital = $1 and ($2 = '' or state = $2) and ($3 = '' or told = $3) and ($4 = '' or channel = $4) and ($5 = '' or order_no = $5)
		and ($6::timestamptz is null or created_at >= $6) and ($7::timestamptz is null or created_at < $7)
		and ($8 = '' or id < (select b.id from pay.attempt b where b.hospital = $1 and b.channel || '/' || b.no = $8)) order by id desc limit $9`,
		hospital, f.State, f.Told, f.Channel, f.Order, from, to, f.Before, f.Limit+1)
	if err == nil && len(page.Attempts) > f.Limit {
		page.Attempts = page.Attempts[:f.Limit]
		last := page.Attempts[f.Limit-1]
		page.Next = string(last.Channel) + "/" + last.No
	}
	return page, err
}

// RefundPage is a page of refunds.
type RefundPage struct {
	Refunds []Refund `json:"refunds" doc:"newest first"`
	Next    string   `json:"next,omitempty" doc:"before of the next page; missing: there is none"`
}

// Refunds are a hospital's refunds, the newest first.
func (s *Service) Refunds(ctx context.Context, hospital string, f Filter) (page RefundPage, err error) {
	from, to := f.period()
	page.Refunds, err = s.refunds(ctx, s.Database, `hospital = $1 and ($2 = '' or state = $2) and ($3 = '' or told = $3) and ($4 = '' or origin = $4) and ($5 = '' or order_no = $5)
		and ($6::timestamptz is null or created_at >= $6) and ($7::timestamptz is null or created_at < $7)
		and ($8 = '' or (created_at, no) < (select b.created_at, b.no from pay.refund b where b.hospital = $1 and b.no = $8)) order by created_at desc, no desc limit $9`,
		hospital, f.State, f.Told, f.Origin, f.Order, from, to, f.Before, f.Limit+1)
	if err == nil && len(page.Refunds) > f.Limit {
		page.Refunds = page.Refunds[:f.Limit]
		page.Next = page.Refunds[f.Limit-1].No
	}
	return page, err
}

// OrderMoney is all that there is about the order of a payment.
type OrderMoney struct {
	Payments
	Journal []Posting `json:"journal" doc:"the postings of the order, in their order"`
}

// Of is everything about the order of a payment of a hospital's.
func (s *Service) Of(ctx context.Context, hospital string, c core.Channel, no string) (w OrderMoney, err error) {
	a, err := one(ctx, s.Database, `channel = $1 and no = $2 and hospital = $3`, c, no, hospital)
	if err != nil {
		return w, err
	}
	// What the payer's device needs is the payer's.
	if w.Attempts, err = many(ctx, s.Database, `order_no = $1 order by id desc`, a.OrderNo); err != nil {
		return w, err
	}
	if w.Refunds, err = s.RefundsOf(ctx, a.OrderNo); err != nil {
		return w, err
	}
	w.Journal, err = s.Journal(ctx, hospital, JournalFilter{Order: a.OrderNo, Limit: 1000})
	return w, err
}
