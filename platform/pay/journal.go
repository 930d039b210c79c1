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

// Journal is a hospital's postings after one of them, in their order.
func (s *Service) Journal(ctx context.Context, hospital string, after int64, limit int) ([]Posting, error) {
	rows, err := s.Database.Query(ctx, `select p.id, p.fact, p.key, p.order_no, p.at, (select json_agg(json_build_object('account', e.account, 'amount', e.amount) order by e.amount desc, e.account)
		from pay.entry e where e.posting = p.id) from pay.posting p where p.hospital = $1 and p.id > $2 order by p.id limit $3`, hospital, after, limit)
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
