package pay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

// Jobs asks channels what became of payments and refunds.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{
		{Name: "pay.ask", Times: "@every 2s", Lasts: 2 * time.Minute, Run: s.AskAll},
		{Name: "pay.giveback", Times: "@every 2s", Lasts: 2 * time.Minute, Run: s.GiveAll},
	}
}

// AskAll asks about every payment that is due: each account by itself, so that one that
// does not answer holds up nobody else's.
func (s *Service) AskAll(ctx context.Context) error {
	due, err := many(ctx, s.Database, `id in (select id from (select id, row_number() over (partition by hospital, channel order by next_at) as place
		from pay.attempt where next_at <= clock_timestamp()) d where place <= 20) order by next_at`)
	if err != nil {
		return err
	}
	return byAccount(due, func(a Attempt) account { return account{a.Hospital, a.Channel} }, func(a Attempt) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Taken for as long as asking may take: another process, or the next run, leaves it alone.
		tag, err := s.Database.Exec(ctx, `update pay.attempt set next_at = clock_timestamp() + $2::interval where id = $1 and next_at <= clock_timestamp()`, a.id, asking)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if _, err := s.Settle(ctx, a); err != nil {
			return fmt.Errorf("payment %s: %w", a.No, err)
		}
		return nil
	})
}

type account struct {
	hospital string
	channel  core.Channel
}

// byAccount does something with each of what is due, one after the other for an account,
// and all accounts at once.
func byAccount[T any](due []T, of func(T) account, do func(T) error) error {
	lists := map[account][]T{}
	for _, d := range due {
		lists[of(d)] = append(lists[of(d)], d)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, list := range lists {
		all.Go(func() {
			for _, d := range list {
				if err := do(d); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return failed
}

// Settle asks the channel what became of an attempt, and closes there what nobody may
// pay any more.
func (s *Service) Settle(ctx context.Context, a Attempt) (Attempt, error) {
	if a.State == Closed {
		return s.lastLook(ctx, a)
	}
	if !a.State.live() {
		return a, nil
	}
	channel, err := s.Accounts.Account(ctx, a.Hospital, a.Channel)
	if err != nil {
		return a, err
	}
	said := channel.Query(ctx, a.No)
	if said.State == Waiting || said.State == None {
		over, err := s.over(ctx, a)
		if err != nil {
			return a, err
		}
		if over {
			said = closed(channel.Close(ctx, a.No))
		}
	}
	return s.Said(context.WithoutCancel(ctx), a, said)
}

// over reports whether nobody may pay by an attempt any more: its time is over, the payer
// was never given what he needs for it, or its order is paid by other money.
func (s *Service) over(ctx context.Context, a Attempt) (over bool, err error) {
	if err := s.Database.QueryRow(ctx, `select state <> 'sent' or expires_at <= clock_timestamp() from pay.attempt where id = $1`, a.id).Scan(&over); over || err != nil {
		return over, err
	}
	o, err := s.Orders.Get(ctx, a.OrderNo)
	return o.State != order.Paying, err
}

// End closes an attempt at its channel before its time. When money came before, it pays
// the order.
func (s *Service) End(ctx context.Context, a Attempt) (Attempt, error) {
	if !a.State.live() {
		return a, nil
	}
	channel, err := s.Accounts.Account(ctx, a.Hospital, a.Channel)
	if err != nil {
		return a, err
	}
	if a.State == Created { // whoever asks the channel at this moment is not overtaken
		var lost bool
		if err := s.Database.QueryRow(ctx, `select next_at <= clock_timestamp() from pay.attempt where id = $1`, a.id).Scan(&lost); err != nil || !lost {
			return a, err
		}
	}
	return s.Said(context.WithoutCancel(ctx), a, closed(channel.Close(ctx, a.No)))
}

// closed: what a channel does not have when it is told to close it, nobody pays.
func closed(m Money) Money {
	if m.State == None {
		m.State = Shut
	}
	return m
}

// lastLook asks once more about an attempt that was closed, when its time is over at the
// channel, too: money that came all the same, and whose notice was lost, is found by it.
func (s *Service) lastLook(ctx context.Context, a Attempt) (Attempt, error) {
	channel, err := s.Accounts.Account(ctx, a.Hospital, a.Channel)
	if err != nil {
		return a, err
	}
	said := channel.Query(ctx, a.No)
	if said.State == Paid {
		return s.Said(context.WithoutCancel(ctx), a, said)
	}
	// The night finds what a channel does not say now, either.
	_, err = s.Database.Exec(ctx, `update pay.attempt set asked = asked + 1, next_at = case when $2 and asked < 10 then `+backoff+` end where id = $1 and state = 'closed'`, a.id, said.State == Unknown)
	return a, err
}

// patience is how often a channel is asked before a person is.
const patience = 60

// backoff before a channel is asked again.
const backoff = `clock_timestamp() + least(interval '10 minutes', interval '2 seconds' * power(1.5, least(asked, 20)))`

// Said takes what a channel says of an attempt, whoever asked and whoever heard it, and
// however often.
func (s *Service) Said(ctx context.Context, a Attempt, m Money) (Attempt, error) {
	err := s.hold(ctx, a, func(tx pgx.Tx, outbox core.Outbox, o order.Order, now Attempt) (err error) {
		a = now
		switch {
		case m.State == Paid:
			a, err = s.came(ctx, tx, outbox, o, a, m)
			return err
		case !a.State.live():
			return nil
		case m.State == Shut, m.State == None && a.State != Sent, m.State == None && o.State != order.Paying:
			return s.close(ctx, tx, o, &a)
		}
		var over bool
		if err := tx.QueryRow(ctx, `select expires_at <= clock_timestamp() from pay.attempt where id = $1`, a.id).Scan(&over); err != nil {
			return err
		}
		switch {
		case m.State == None && over:
			return s.close(ctx, tx, o, &a)
		case m.State == Waiting && a.State == Sent, m.State == None:
			_, err = tx.Exec(ctx, `update pay.attempt set asked = 0, next_at = least(clock_timestamp() + interval '15 seconds', expires_at), problem = '' where id = $1`, a.id)
			return err
		case a.Asked+1 >= patience:
			a, err = s.move(ctx, tx, a, Review, `asked = asked + 1, next_at = null, problem = $3`, cut("the channel does not say what became of it: "+m.Words))
			return err // the order stays held: nobody knows
		case a.State == Sent && !over, a.State == Undecided:
			_, err = tx.Exec(ctx, `update pay.attempt set asked = asked + 1, next_at = `+backoff+`, problem = $2 where id = $1`, a.id, cut(m.Words))
			return err
		}
		a, err = s.move(ctx, tx, a, Undecided, `asked = asked + 1, next_at = `+backoff+`, problem = $3`, cut(m.Words))
		return err
	})
	return a, err
}

func (s *Service) close(ctx context.Context, tx pgx.Tx, o order.Order, a *Attempt) (err error) {
	if *a, err = s.move(ctx, tx, *a, Closed, `asked = 0, next_at = greatest(expires_at, clock_timestamp()) + interval '5 minutes', problem = ''`); err != nil {
		return err
	}
	return s.free(ctx, tx, o)
}

// came takes money that a channel has. It pays the order if it can; what cannot goes
// back by itself, but for another amount than was asked for, which a person looks at.
func (s *Service) came(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, a Attempt, m Money) (Attempt, error) {
	if a.Got > 0 {
		if a.ChannelNo != m.ChannelNo || a.Got != m.Amount {
			s.Log.Warn("a channel says something else of money than before", "channel", a.Channel, "payment", a.No)
		}
		return a, nil // it says so again
	}
	if m.Amount <= 0 || m.ChannelNo == "" {
		return a, fmt.Errorf("take payment %s: the channel names no amount, or no number of its own", a.No)
	}
	wasLive := a.State.live() || a.State == Review
	got := func(to State, problem string) (err error) {
		a, err = s.move(ctx, tx, a, to, `channel_no = $3, got = $4, paid_at = $5, next_at = null, problem = $6`, m.ChannelNo, m.Amount, m.At, problem)
		return err
	}
	post := func(fact string, entries ...entry) error {
		return s.post(ctx, tx, a.Hospital, fact, fmt.Sprintf("%s/%s", a.Channel, a.No), a.OrderNo, entries...)
	}
	if m.Amount != a.Amount {
		problem := fmt.Sprintf("%s yuan were asked for and %s came", a.Amount, m.Amount)
		if a.State == Review {
			if _, err := tx.Exec(ctx, `update pay.attempt set channel_no = $2, got = $3, paid_at = $4, next_at = null, problem = $5 where id = $1`, a.id, m.ChannelNo, m.Amount, m.At, problem); err != nil {
				return a, err
			}
		} else if err := got(Review, problem); err != nil {
			return a, err
		}
		if wasLive {
			if err := s.free(ctx, tx, o); err != nil {
				return a, err
			}
		}
		return a, post("unallocated", entry{channelAccount(a.Channel), m.Amount}, entry{unallocated, -m.Amount})
	}
	why, err := s.pays(ctx, tx, outbox, a, m)
	if err != nil {
		return a, err
	}
	if why == nil {
		if err := got(Succeeded, ""); err != nil {
			return a, err
		}
		if _, err := tx.Exec(ctx, `update pay.attempt set told = $2 where id = $1`, a.id, Telling); err != nil {
			return a, err
		}
		// Another attempt that is under way has nothing to pay any more.
		if _, err := tx.Exec(ctx, `update pay.attempt set next_at = clock_timestamp() where order_no = $1 and id <> $2 and next_at is not null`, a.OrderNo, a.id); err != nil {
			return a, err
		}
		return a, post("paid", entry{channelAccount(a.Channel), m.Amount}, entry{receivable, -m.Amount}, entry{receivable, m.Amount}, entry{"revenue:" + string(o.Kind), -m.Amount})
	}
	if err := got(Stray, cut(why.Error())); err != nil {
		return a, err
	}
	if wasLive {
		if err := s.free(ctx, tx, o); err != nil {
			return a, err
		}
	}
	if err := post("stray", entry{channelAccount(a.Channel), m.Amount}, entry{strayMoney, -m.Amount}); err != nil {
		return a, err
	}
	return a, s.sendBack(ctx, tx, outbox, a, strayMoney, "订单未能支付，原路退回")
}

// pays marks the order paid; why it cannot be, and nothing is changed then.
func (s *Service) pays(ctx context.Context, tx pgx.Tx, outbox core.Outbox, a Attempt, m Money) (why, err error) {
	err = pgx.BeginFunc(ctx, tx, func(pgx.Tx) error { // a savepoint; the transaction stays the caller's own
		_, err := s.Orders.MarkPaid(ctx, tx, outbox, a.OrderNo, order.Payment{Channel: a.Channel, ChannelNo: m.ChannelNo, Amount: m.Amount, At: m.At})
		return err
	})
	var ps core.Problems
	if errors.Is(err, clinic.ErrState) || errors.Is(err, clinic.ErrRule) || errors.Is(err, clinic.ErrNotFound) || errors.As(err, &ps) {
		return err, nil
	}
	return nil, err
}
