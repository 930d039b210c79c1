package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

const (
	// maxAttempts end a notice: after a good five hours of retries nobody wants it.
	maxAttempts = 12
	// lease is how long a notice is one process's; then it was that of one that died.
	lease = 2 * time.Minute
	// aTry bounds one call of a gateway, well within the lease.
	aTry = 20 * time.Second
	// inARow failures end a run: the gateway is down, and others' tries are not used up.
	inARow = 5
)

// Jobs sends what is due, and forgets what is long over.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{
		{Name: "notify.send", Times: "@every 5s", Lasts: 2 * time.Minute, Run: func(ctx context.Context) error { _, err := s.Deliver(ctx); return err }},
		{Name: "notify.forget", Times: "25 3 * * *", Lasts: 10 * time.Minute, Run: s.forget},
	}
}

// due is a notice that is claimed.
type due struct {
	id, account int64
	channel     Channel
	urgent      bool
	title, text string
	attempts    int
	now         time.Time
	from, to    string
}

// Deliver sends what is due, each notice at least once and never again after its gateway
// took it; how many were taken.
func (s *Service) Deliver(ctx context.Context) (sent int, err error) {
	for failed := 0; failed < inARow && ctx.Err() == nil; {
		n, err := s.claim(ctx)
		if errors.Is(err, pgx.ErrNoRows) {
			return sent, nil
		} else if err != nil {
			return sent, fmt.Errorf("send notices: %w", err)
		}
		if end := quietEnd(n.now.In(s.Zone), n.from, n.to); !n.urgent && !end.IsZero() {
			err = s.settle(ctx, n, `due = $3, attempts = attempts - 1`, end)
		} else if err = s.try(ctx, n); err == nil {
			err, failed = s.taken(ctx, n), 0
			sent++
		} else if problem := said(err); n.attempts >= maxAttempts || errors.Is(err, ErrNobody) {
			err = s.settle(ctx, n, `state = 'dead', ended_at = clock_timestamp(), problem = $3`, problem)
		} else {
			failed++
			err = s.settle(ctx, n, `due = clock_timestamp() + make_interval(secs => $3), problem = $4`, pause(n.attempts).Seconds(), problem)
		}
		if err != nil {
			return sent, fmt.Errorf("send notices: %w", err)
		}
	}
	return sent, nil
}

func (s *Service) claim(ctx context.Context) (n due, err error) {
	err = s.Database.QueryRow(ctx, `update notify.outbox o set attempts = attempts + 1, due = clock_timestamp() + make_interval(secs => $1)
		where id = (select id from notify.outbox where state = 'waiting' and due <= clock_timestamp() order by due, id limit 1 for update skip locked)
		returning id, account, channel, urgent, title, text, attempts, clock_timestamp(),
			coalesce((select quiet_from from notify.setting t where t.account = o.account), $2), coalesce((select quiet_to from notify.setting t where t.account = o.account), $3)`,
		lease.Seconds(), defaults.QuietFrom, defaults.QuietTo).Scan(&n.id, &n.account, &n.channel, &n.urgent, &n.title, &n.text, &n.attempts, &n.now, &n.from, &n.to)
	return n, err
}

func (s *Service) try(ctx context.Context, n due) error {
	sender := s.Senders[n.channel]
	if sender == nil {
		return errors.New("this process has no gateway for the channel")
	}
	within, cancel := context.WithTimeout(ctx, aTry)
	defer cancel()
	return sender.Send(within, "notice-"+strconv.FormatInt(n.id, 10), n.account, n.title, n.text)
}

// taken keeps that a gateway took a notice, also when the run is over or the claim is:
// what was sent must not be sent again.
func (s *Service) taken(ctx context.Context, n due) error {
	return s.keep(ctx, `state = 'sent', ended_at = clock_timestamp(), problem = '' where id = $1`, n.id)
}

// settle says what became of a try that sent nothing, unless it is another's meanwhile.
func (s *Service) settle(ctx context.Context, n due, set string, args ...any) error {
	return s.keep(ctx, set+` where id = $1 and attempts = $2 and state = 'waiting'`, append([]any{n.id, n.attempts}, args...)...)
}

func (s *Service) keep(ctx context.Context, what string, args ...any) error {
	within, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	_, err := s.Database.Exec(within, `update notify.outbox set `+what, args...)
	return err
}

// pause before the next try: half a minute, doubled each time up to an hour.
func pause(attempts int) time.Duration {
	return min(time.Hour, 30*time.Second<<min(attempts-1, 10))
}

// said is an error's text, of a length that is kept.
func said(err error) string {
	text := []rune(err.Error())
	return string(text[:min(len(text), 200)])
}

// quietEnd is when the quiet hours end in which now lies; zero outside of them.
func quietEnd(now time.Time, from, to string) time.Time {
	begin, err1 := time.Parse("15:04", from)
	end, err2 := time.Parse("15:04", to)
	if err1 != nil || err2 != nil || begin.Equal(end) {
		return time.Time{}
	}
	minute := func(t time.Time) int { return t.Hour()*60 + t.Minute() }
	n, b, e, day := minute(now), minute(begin), minute(end), now.Day()
	switch {
	case b < e && (n < b || n >= e), b > e && n < b && n >= e:
		return time.Time{}
	case b > e && n >= b:
		day++ // it ends tomorrow
	}
	return time.Date(now.Year(), now.Month(), day, end.Hour(), end.Minute(), 0, 0, now.Location())
}

// forget what was sent three months ago, what died a year ago, and what was told in the app two years ago.
func (s *Service) forget(ctx context.Context) error {
	for _, sql := range []string{
		`delete from notify.outbox where state = 'sent' and ended_at < clock_timestamp() - interval '90 days'`,
		`delete from notify.outbox where state = 'dead' and ended_at < clock_timestamp() - interval '1 year'`,
		`delete from notify.inbox where at < clock_timestamp() - interval '2 years'`,
	} {
		if _, err := s.Database.Exec(ctx, sql); err != nil {
			return fmt.Errorf("forget old notices: %w", err)
		}
	}
	return nil
}

// Dead is a notice that nobody got.
type Dead struct {
	ID       int64     `json:"id"`
	Channel  Channel   `json:"channel" enum:"sms,wechat"`
	Event    string    `json:"event"`
	Hospital string    `json:"hospital,omitempty"`
	Attempts int       `json:"attempts"`
	Problem  string    `json:"problem"`
	At       time.Time `json:"at" doc:"when it was given up"`
}

// Dead ones of these hospitals, nil of all; newest first.
func (s *Service) Dead(ctx context.Context, hospitals []string, limit int) ([]Dead, error) {
	rows, err := s.Database.Query(ctx, `select id, channel, event, hospital, attempts, problem, ended_at from notify.outbox
		where state = 'dead' and ($1::text[] is null or hospital = any($1)) order by id desc limit $2`, hospitals, limit)
	if err != nil {
		return nil, fmt.Errorf("list dead notices: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Dead])
}
