package pay

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Accounts of the journal, beside channel:<name> (money that the channel has for us) and
// revenue:<kind> (what orders were paid for).
const (
	receivable  = "patients"    // what patients owe: nothing, once an order is paid
	onTheWay    = "refunds"     // decided, and not given back by the channel yet
	strayMoney  = "stray"       // came for an order that it could not pay
	unallocated = "unallocated" // came, and a person has to say what it is
)

// entry of the journal: a debit above 0, a credit below.
type entry struct {
	account string
	amount  core.Fen
}

// post writes a fact about money. The database refuses one that does not sum to 0. The
// same fact again is not posted again.
func (s *Service) post(ctx context.Context, tx pgx.Tx, hospital, fact, key, orderNo string, entries ...entry) error {
	var id int64
	err := tx.QueryRow(ctx, `insert into pay.posting (hospital, fact, key, order_no) values ($1, $2, $3, $4) returning id`, hospital, fact, key, orderNo).Scan(&id)
	if err != nil {
		return fmt.Errorf("post %s of %s: %w", fact, key, err)
	}
	for _, e := range entries {
		if _, err := tx.Exec(ctx, `insert into pay.entry (posting, account, amount) values ($1, $2, $3)`, id, e.account, e.amount); err != nil {
			return fmt.Errorf("post %s of %s: %w", fact, key, err)
		}
	}
	return nil
}

func channelAccount(c core.Channel) string { return "channel:" + string(c) }

// Posting is one fact about money.
type Posting struct {
	ID      int64     `json:"id"`
	Fact    string    `json:"fact" doc:"paid, stray, unallocated, refund, given_up, returned"`
	Key     string    `json:"key" doc:"of the attempt or the refund"`
	OrderNo string    `json:"order_no"`
	At      time.Time `json:"at"`
	Entries []Entry   `json:"entries"`
}

// Entry of a posting.
type Entry struct {
	Account string   `json:"account" example:"channel:wechat"`
	Amount  core.Fen `json:"amount" doc:"fen; a debit above 0, a credit below"`
}

// JournalFilter of postings; what is empty does not count.
type JournalFilter struct {
	Order, Account, Fact string
	// From is inclusive, To exclusive.
	From, To time.Time
	After    int64 // the last posting of the page before
	Limit    int
}

// Journal is a hospital's postings after one of them, in their order.
func (s *Service) Journal(ctx context.Context, hospital string, f JournalFilter) ([]Posting, error) {
	from, to := Filter{From: f.From, To: f.To}.period()
	rows, err := s.Database.Query(ctx, `select p.id, p.fact, p.key, p.order_no, p.at, (select json_agg(json_build_object('account', e.account, 'amount', e.amount) order by e.amount desc, e.account)
		from pay.entry e where e.posting = p.id) from pay.posting p where p.hospital = $1 and p.id > $2 and ($4 = '' or p.order_no = $4) and ($5 = '' or p.fact = $5)
		and ($6 = '' or exists (select from pay.entry x where x.posting = p.id and x.account = $6))
		and ($7::timestamptz is null or p.at >= $7) and ($8::timestamptz is null or p.at < $8) order by p.id limit $3`, hospital, f.After, f.Limit, f.Order, f.Fact, f.Account, from, to)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Posting])
}

// Balance of one account.
type Balance struct {
	Account string   `json:"account"`
	Debit   core.Fen `json:"debit" doc:"fen"`
	Credit  core.Fen `json:"credit" doc:"fen"`
	Balance core.Fen `json:"balance" doc:"fen; debit less credit"`
}

// TrialBalance is what all accounts of a hospital come to until a time; the balances sum to 0.
func (s *Service) TrialBalance(ctx context.Context, hospital string, until time.Time) ([]Balance, error) {
	rows, err := s.Database.Query(ctx, `select account, coalesce(sum(amount) filter (where amount > 0), 0)::bigint, coalesce(-sum(amount) filter (where amount < 0), 0)::bigint, sum(amount)::bigint
		from pay.entry e join pay.posting p on p.id = e.posting where p.hospital = $1 and p.at < $2 group by account order by account`, hospital, until)
	if err != nil {
		return nil, fmt.Errorf("sum up the journal: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Balance])
}

// DayBalance is what an account moved on a day, and what it came to at its end.
type DayBalance struct {
	Day     string   `json:"day" example:"2026-01-05" doc:"of the hospital's own clock"`
	Account string   `json:"account"`
	Debit   core.Fen `json:"debit" doc:"fen"`
	Credit  core.Fen `json:"credit" doc:"fen"`
	Balance core.Fen `json:"balance" doc:"fen; debit less credit of all days until the end of this one"`
}

// mostDays of a trial balance by day.
const mostDays = 92

// BalanceByDay is the trial balance of each day from one to another, both inclusive, as
// 2026-01-05; "" are the last thirty. An account that did not move on a day is left out. The
// debits and credits of a day are the same sum.
func (s *Service) BalanceByDay(ctx context.Context, hospital, from, to string) ([]DayBalance, error) {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return nil, err
	}
	last, err := dayOr(to, place.Zone, "to", time.Now())
	if err != nil {
		return nil, err
	}
	first, err := dayOr(from, place.Zone, "from", last.AddDate(0, 0, -29))
	if err != nil {
		return nil, err
	}
	if first.After(last) || last.After(first.AddDate(0, 0, mostDays-1)) {
		return nil, core.Problems{{Field: "from", What: fmt.Sprintf("is after to, or more than %d days before it", mostDays)}}
	}
	rows, err := s.Database.Query(ctx, `with opening as (select e.account, sum(e.amount) as amount from pay.entry e join pay.posting p on p.id = e.posting where p.hospital = $1 and p.at < $2 group by e.account),
		moved as (select (p.at at time zone $4)::date as day, e.account, coalesce(sum(e.amount) filter (where e.amount > 0), 0) as debit, coalesce(-sum(e.amount) filter (where e.amount < 0), 0) as credit
			from pay.entry e join pay.posting p on p.id = e.posting where p.hospital = $1 and p.at >= $2 and p.at < $3 group by 1, 2)
		select to_char(m.day, 'YYYY-MM-DD'), m.account, m.debit::bigint, m.credit::bigint, (coalesce(o.amount, 0) + sum(m.debit - m.credit) over (partition by m.account order by m.day))::bigint
		from moved m left join opening o on o.account = m.account order by m.day, m.account`, hospital, first, last.AddDate(0, 0, 1), place.Zone.String())
	if err != nil {
		return nil, fmt.Errorf("sum up the journal by day: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[DayBalance])
}

// dayOr is the begin of a day, or of that on which otherwise is.
func dayOr(text string, zone *time.Location, field string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		text = otherwise.In(zone).Format(time.DateOnly)
	}
	day, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		return day, core.Problems{{Field: field, What: "is no day like 2026-01-05"}}
	}
	return day, nil
}
