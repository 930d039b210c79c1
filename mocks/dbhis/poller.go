package dbhis

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// poller reads new rows of the interface tables and writes verdicts. There is one,
// so what it checks cannot change between its looks, except by settlements.
type poller struct {
	his *HIS
	// read are the rows at czbz 1: when their verdict is due, and their fault.
	read map[row]reading
	busy map[row]bool // left unread, and noted once in the journal
}

type row struct {
	table string
	id    int64
}

type reading struct {
	due  time.Time
	kind fault.Kind
}

// tables in the order they are judged: a prescription before its void.
var tables = []struct{ name, key string }{{"zjk_cf_main", "cfh"}, {"zjk_cf_zf", "cfh"}, {"zjk_tf", "tfdh"}}

func newPoller(h *HIS) *poller {
	return &poller{his: h, read: map[row]reading{}, busy: map[row]bool{}}
}

func (p *poller) run(ctx context.Context) {
	tick := time.NewTicker(p.his.options.Poll)
	defer tick.Stop()
	for {
		for _, t := range tables {
			// What went wrong (the database is away) is tried again at the next tick.
			_ = p.take(ctx, t.name, t.key)
			_ = p.judge(ctx, t.name, t.key)
		}
		_ = p.his.bookAgreed(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

type numbered struct {
	id  int64
	key string
}

func (p *poller) rows(ctx context.Context, table, key, czbz string) ([]numbered, error) {
	found, err := p.his.db.QueryContext(ctx, p.his.bind("select id, "+key+" from "+table+" where czbz = ? order by id limit 500"), czbz)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var list []numbered
	for found.Next() {
		var n numbered
		if err := found.Scan(&n.id, &n.key); err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, found.Err()
}

// take reads new rows: czbz 0 becomes 1.
func (p *poller) take(ctx context.Context, table, key string) error {
	fresh, err := p.rows(ctx, table, key, "0")
	if err != nil {
		return err
	}
	for _, n := range fresh {
		r := row{table, n.id}
		rule, err := p.his.strike(ctx, table, n.key)
		if err != nil {
			return err
		}
		due := time.Now().Add(p.his.options.Latency)
		switch rule.Fault {
		case fault.Busy:
			if !p.busy[r] {
				p.busy[r] = true
				p.his.note(table, n.key, "busy", string(fault.Busy))
			}
			continue
		case fault.LateVerdict:
			due = due.Add(rule.Delay.Or(10 * time.Second))
		}
		delete(p.busy, r)
		p.read[r] = reading{due: due, kind: rule.Fault}
		if err := p.together(ctx, []step{{"update " + table + " set czbz = '1', dqsj = ? where id = ? and czbz = '0'", []any{p.his.now(), n.id}}}); err != nil {
			return err
		}
	}
	return nil
}

// errWait says that a row cannot be judged yet.
var errWait = errors.New("not yet")

// judge writes the verdicts that are due: czbz 1 becomes 2 or 9.
func (p *poller) judge(ctx context.Context, table, key string) error {
	open, err := p.rows(ctx, table, key, "1")
	if err != nil {
		return err
	}
	for _, n := range open {
		r := row{table, n.id}
		reading := p.read[r] // nothing when a poller before us read it: due now
		if time.Now().Before(reading.due) {
			continue
		}
		var words string
		if reading.kind == fault.Reject {
			words = fault.RejectWords
		} else {
			words, err = p.objection(ctx, table, n.id)
		}
		if errors.Is(err, errWait) {
			continue
		}
		if err != nil {
			return err
		}
		if words != "" {
			err = p.refuse(ctx, table, n, words, reading.kind)
		} else {
			err = p.accept(ctx, table, n, reading.kind)
		}
		if err != nil {
			return err
		}
		delete(p.read, r)
	}
	return nil
}

// objection is why a row must be refused, "" when it need not.
func (p *poller) objection(ctx context.Context, table string, id int64) (string, error) {
	switch table {
	case "zjk_cf_main":
		return p.objectPrescription(ctx, id)
	case "zjk_cf_zf":
		return p.objectVoid(ctx, id)
	}
	return p.objectRefund(ctx, id)
}

// ownLines are the lines that a header may take: of each number the oldest that is
// free. Where repeats are booked again there may be two of each.
func (p *poller) ownLines(ctx context.Context, header int64) (ids []any, err error) {
	rows, err := p.his.db.QueryContext(ctx, p.his.bind(`select min(d.id) from zjk_cf_detail d
		join zjk_cf_main m on m.yljgdm = d.yljgdm and m.cfh = d.cfh
		where m.id = ? and d.bb = 0 and d.tid is null group by d.xh`), header)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// mark is the step that sets a column of lines to their header's id. They are named
// one by one: a subquery would lock what callers are writing beside them.
func mark(column string, header int64, lines []any) []step {
	if len(lines) == 0 {
		return nil
	}
	return []step{{"update zjk_cf_detail set " + column + " = ? where id in (" + places(lines) + ")", append([]any{header}, lines...)}}
}

func places(of []any) string { return strings.TrimSuffix(strings.Repeat("?, ", len(of)), ", ") }

func (p *poller) objectPrescription(ctx context.Context, id int64) (string, error) {
	lines, err := p.ownLines(ctx, id)
	if err != nil {
		return "", err
	}
	if len(lines) == 0 {
		return "处方无明细", nil
	}
	var same bool
	err = p.his.db.QueryRowContext(ctx, p.his.bind("select sum(je) = (select zje from zjk_cf_main where id = ?) from zjk_cf_detail where id in ("+places(lines)+")"),
		append([]any{id}, lines...)...).Scan(&same)
	if err == nil && !same {
		return "明细金额与总额不符", nil
	}
	return "", err
}

func (p *poller) objectVoid(ctx context.Context, id int64) (string, error) {
	var czbz string
	var settled bool
	err := p.his.db.QueryRowContext(ctx, p.his.bind(`select m.czbz, m.fyzt <> '0' or exists (select 1 from zjk_bill b where b.cfh = m.cfh and b.zfbz = '1')
		from zjk_cf_zf z join zjk_cf_main m on m.yljgdm = z.yljgdm and m.cfh = z.cfh and m.bb = 0
		where z.id = ? order by m.id limit 1`), id).Scan(&czbz, &settled)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "处方不存在", nil
	case err != nil:
		return "", err
	case czbz == "0" || czbz == "1":
		return "", errWait
	case settled:
		return "处方已收费，不能作废", nil
	}
	return "", nil
}

func (p *poller) objectRefund(ctx context.Context, id int64) (string, error) {
	var receipt, asked sql.NullString
	var positive, enough bool
	err := p.his.db.QueryRowContext(ctx, p.his.bind(`select j.sjh, t.sjh, t.je > 0,
		t.je + coalesce((select sum(o.je) from zjk_tf o where o.ddh = t.ddh and o.yx = 1), 0) <= j.je
		from zjk_tf t join zjk_jf j on j.ddh = t.ddh and j.cs = 1 where t.id = ?`), id).Scan(&receipt, &asked, &positive, &enough)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && asked.String != "" && asked.String != receipt.String:
		return "未找到收费记录", nil
	case err != nil:
		return "", err
	case !positive:
		return "金额错误", nil
	case !enough:
		return "退款金额超过已收金额", nil
	}
	return "", nil
}

// refuse writes czbz 9 and frees the number.
func (p *poller) refuse(ctx context.Context, table string, n numbered, words string, kind fault.Kind) error {
	var steps []step
	if table == "zjk_cf_main" {
		lines, err := p.ownLines(ctx, n.id)
		if err != nil {
			return err
		}
		steps = mark("bb", n.id, lines)
	}
	steps = append(steps, step{"update " + table + " set czbz = '9', cwxx = ?, bb = id, clsj = ? where id = ?", []any{words, p.his.now(), n.id}})
	if err := p.together(ctx, steps); err != nil {
		return err
	}
	p.his.note(table, n.key, "refused: "+words, string(kind))
	return nil
}

// accept writes czbz 2 and the number under which the hospital has it. Under
// DuplicateAnswer it says 9 although the row is in the books.
func (p *poller) accept(ctx context.Context, table string, n numbered, kind fault.Kind) error {
	letter := map[string]string{"zjk_cf_main": "R", "zjk_cf_zf": "V", "zjk_tf": "T"}[table]
	number, err := p.his.number(ctx, letter)
	if err != nil {
		return err
	}
	effect := books.Done
	if p.his.options.Repeats == books.Double {
		var before int
		err := p.his.db.QueryRowContext(ctx, p.his.bind("select count(*) from "+table+" t join "+table+" o on o."+keyOf(table)+" = t."+keyOf(table)+
			" where t.id = ? and o.yx = 1"), n.id).Scan(&before)
		if err != nil {
			return err
		}
		if before > 0 {
			effect = books.Again
		}
	}
	czbz, words := "2", sql.NullString{}
	if kind == fault.DuplicateAnswer {
		czbz, words = "9", sql.NullString{String: "重复提交", Valid: true}
	}
	var steps []step
	if table == "zjk_cf_main" {
		lines, err := p.ownLines(ctx, n.id)
		if err != nil {
			return err
		}
		steps = mark("tid", n.id, lines)
	}
	steps = append(steps, step{"update " + table + " set czbz = ?, cwxx = ?, his_no = ?, yx = 1, clsj = ? where id = ?",
		[]any{czbz, words, number, p.his.now(), n.id}})
	if err := p.together(ctx, steps); err != nil {
		return err
	}
	p.his.note(table, n.key, string(effect), string(kind))
	return nil
}

func keyOf(table string) string {
	for _, t := range tables {
		if t.name == table {
			return t.key
		}
	}
	panic("no such table: " + table)
}

type step struct {
	query string
	args  []any
}

// together runs the steps in one transaction.
func (p *poller) together(ctx context.Context, steps []step) error {
	tx, err := p.his.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}) // no gap locks in the callers' way
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, s := range steps {
		if _, err := tx.ExecContext(ctx, p.his.bind(s.query), s.args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
