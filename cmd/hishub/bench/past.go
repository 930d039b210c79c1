package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/postgres"
)

// past is a year of messages in a database: what was delivered of a hundred hospitals.
type past struct {
	*stage
	ledger *postgres.Store
	rows
	count int
	from  time.Time
}

// pastMessage is the n-th, from 1; its number is its id.
type pastMessage struct {
	id                               int64
	at                               time.Time
	hospital, kind, key, lane, hisNo string
	cancelled                        bool
	body                             core.Body // as far as it is found by
}

func hospitalOf(n int) string {
	if n%3 == 0 {
		return hospital
	}
	return fmt.Sprintf("h%03d", n%97)
}

// patientNo of the n-th; each comes five times.
func patientNo(n int) string { return fmt.Sprintf("P%09d", n/5) }

// at is when the n-th was accepted.
func (p *past) at(n int) time.Time {
	return p.from.Add(time.Duration(float64(365*24*time.Hour) * float64(n) / float64(p.count+1)))
}

func (p *past) oldest() time.Time {
	return time.Date(p.from.UTC().Year(), p.from.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
}

// payment is the one of n, or of its neighbour where n is a prescription.
func (p *past) payment(n int) *core.Payment {
	if n%2 == 0 {
		n--
	}
	return &core.Payment{OrderID: fmt.Sprintf("HP%010d", n), VisitNo: fmt.Sprintf("HV%010d", n), PatientNo: patientNo(n),
		Bills: []string{fmt.Sprintf("HB%010d", n)}, ChannelNo: fmt.Sprintf("4200002311%018d", n), Amount: 4711, Channel: "wechat"}
}

// message is the n-th: payments and prescriptions in turns, one in a hundred cancelled.
func (p *past) message(n int) pastMessage {
	m := pastMessage{id: int64(n), at: p.at(n), hospital: hospitalOf(n), lane: fmt.Sprintf("HV%010d", n), hisNo: fmt.Sprintf("HN%010d", n), cancelled: n%100 == 50}
	if n%2 == 1 {
		pay := p.payment(n)
		m.kind, m.key, m.body = string(core.PaymentSettle), pay.OrderID, pay
		return m
	}
	m.kind, m.key = string(core.PrescriptionCreate), fmt.Sprintf("HR%010d", n)
	m.body = &core.Prescription{No: m.key, VisitNo: m.lane, PatientNo: patientNo(n), IDNo: fmt.Sprintf("999999190001%06d", n/5)}
	return m
}

// pastTable is a table of the ledger and what a message leaves in it; nil is nothing.
type pastTable struct {
	name    string
	columns []string
	row     func(p *past, m *pastMessage) []any
}

// exchangesFrom is the first message of which the bytes are still there: the newest 1 %.
func (p *past) exchangesFrom() int64 { return int64(p.count - p.count/100) }

// pastTables are those with a row for a message; those of tokens have several.
var pastTables = []pastTable{
	{"message", []string{"id", "hospital", "kind", "key", "lane", "place", "state", "class", "reason", "receipt", "digest", "revision", "accepted_at", "decided_at", "attempts"},
		func(p *past, m *pastMessage) []any {
			state, class, i := "delivered", (*string)(nil), int(m.id)%len(p.digest)
			if m.cancelled {
				rejected := string(core.Rejected)
				state, class = "cancelled", &rejected
			}
			return []any{m.id, m.hospital, m.kind, m.key, m.lane, m.id, state, class, p.because, p.receipt[i], p.digest[i], 1, m.at, m.at.Add(time.Second), 1}
		}},
	{"body", []string{"message", "accepted_at", "sealed"}, func(p *past, m *pastMessage) []any {
		return []any{m.id, m.at, p.sealed[int(m.id)%len(p.sealed)]}
	}},
	{"his_no", []string{"his_no", "hospital", "message"}, func(p *past, m *pastMessage) []any { return []any{m.hisNo, m.hospital, m.id} }},
	{"attempt", []string{"message", "number", "fence", "at", "phase", "step", "connector", "operation", "outcome", "rule", "class", "because", "duration_us"},
		func(p *past, m *pastMessage) []any {
			return []any{m.id, 1, 1, m.at, "send", "send", "default", "SavePrescription", "ok", "ok", "", p.because, 21000}
		}},
	{"event", []string{"at", "hospital", "message", "kind", "key", "type", "data"}, func(p *past, m *pastMessage) []any {
		return []any{m.at, m.hospital, m.id, m.kind, m.key, string(core.EventDelivered), p.data[int(m.id)%len(p.data)]}
	}},
	{"exchange", []string{"message", "number", "at", "request", "answer", "stamp", "serial", "asked_at"}, func(p *past, m *pastMessage) []any {
		if m.id <= p.exchangesFrom() {
			return nil
		}
		i := int(m.id) % len(p.request)
		return []any{m.id, 1, m.at, p.request[i], p.answer[i], p.digest[i][:16], m.id, m.at}
	}},
	{"ledger_entry", []string{"message", "hospital", "at", "type", "number", "channel", "channel_no", "amount", "bill"}, func(p *past, m *pastMessage) []any {
		b, ok := m.body.(*core.Payment)
		if !ok {
			return nil
		}
		return []any{m.id, m.hospital, m.at, "payment", b.OrderID, string(b.Channel), b.ChannelNo, int64(b.Amount), b.Bills[0]}
	}},
}

// portion is how many messages a COPY has.
const portion = 50_000

// load writes all of it, and leaves the database as a long life would: counted, and
// its feed read to the end by those who read another hub's.
func (p *past) load(ctx context.Context, like *stage, tell func(string, ...any)) error {
	p.from = time.Now().Add(-365 * 24 * time.Hour)
	// The hub drops what is past its time; here that waits until it is measured.
	if err := p.ledger.Keep(ctx, "events", 0, "bench", "a long history"); err != nil {
		return err
	}
	for back := range 4 { // each makes four months
		if _, err := p.ledger.Maintain(ctx, p.from.AddDate(0, 4*back, 0), postgres.Retention{}); err != nil {
			return err
		}
	}
	for first := 1; first <= p.count; first += portion {
		last := min(first+portion-1, p.count)
		for _, t := range pastTables {
			if err := p.copy(ctx, t.name, t.columns, first, last, func(m *pastMessage) [][]any {
				if row := t.row(p, m); row != nil {
					return [][]any{row}
				}
				return nil
			}); err != nil {
				return err
			}
		}
		if err := p.copy(ctx, "found_by", []string{"token", "message", "accepted_at"}, first, last, func(m *pastMessage) (rows [][]any) {
			for _, token := range p.ledger.FoundBy(m.body, m.key, m.lane) {
				rows = append(rows, []any{token, m.id, m.at})
			}
			return rows
		}); err != nil {
			return err
		}
		if done := last / portion; done%4 == 0 {
			tell("%d of %d", last, p.count)
		}
	}
	for _, sql := range []string{fmt.Sprintf(`select setval('hub.message_id', %d)`, p.count+1), `vacuum (analyze)`, `checkpoint`} {
		if _, err := p.database.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return p.feedIsRead(ctx, like)
}

// feedIsRead puts whoever reads the feed of another hub at the end of this one's.
func (p *past) feedIsRead(ctx context.Context, like *stage) error {
	for names, sql := range map[string]string{
		`select name from hub.cursor`:     `insert into hub.cursor (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value`,
		`select module from clinic.inbox`: `insert into clinic.inbox (module, cursor) values ($1, $2) on conflict (module) do update set cursor = excluded.cursor`,
	} {
		found, err := like.database.Query(ctx, names)
		if err != nil {
			return err
		}
		readers, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			return err
		}
		var end string
		if err := p.database.QueryRow(ctx, `select xid::text || '-' || id from hub.event order by event.xid desc, event.id desc limit 1`).Scan(&end); err != nil {
			return err
		}
		for _, name := range readers {
			if _, err := p.database.Exec(ctx, sql, name, end); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *past) copy(ctx context.Context, table string, columns []string, first, last int, rowsOf func(*pastMessage) [][]any) error {
	n, waiting := first, [][]any(nil)
	_, err := p.database.CopyFrom(ctx, pgx.Identifier{"hub", table}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		for len(waiting) == 0 {
			if n > last {
				return nil, nil
			}
			m := p.message(n)
			waiting, n = rowsOf(&m), n+1
		}
		row := waiting[0]
		waiting = waiting[1:]
		return row, nil
	}))
	if err != nil {
		return fmt.Errorf("copy into %s: %w", table, err)
	}
	return nil
}
