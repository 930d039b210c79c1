package dbhis

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"hishub/mocks/dbproxy"
	"hishub/mocks/fault"
)

// businessKinds are played by the procedure and the poller, from the table his_fault.
var businessKinds = []fault.Kind{fault.Busy, fault.Reject, fault.DuplicateAnswer, fault.LateVerdict}

// AddFaults puts each rule where it is played. See control.Hospital.
func (h *HIS) AddFaults(ctx context.Context, rules []fault.Rule) error {
	known := slices.Concat(dbproxy.Kinds, businessKinds)
	for i, r := range rules {
		if err := r.Check(known); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
		if r.First {
			return fmt.Errorf("rule %d: first is not played here", i+1)
		}
	}
	for _, r := range rules {
		if slices.Contains(dbproxy.Kinds, r.Fault) {
			if err := h.script.Add(r); err != nil {
				return err
			}
			continue
		}
		_, err := h.db.ExecContext(ctx, h.bind("insert into his_fault (fault, operation, biz_key, times, rate, delay_ms) values (?, ?, ?, ?, ?, ?)"),
			string(r.Fault), r.Operation, r.Key, r.Times, r.Rate, time.Duration(r.Delay).Milliseconds())
		if err != nil {
			return fmt.Errorf("write his_fault: %w", err)
		}
	}
	return nil
}

// Faults lists the rules in force, those of the network first.
func (h *HIS) Faults(ctx context.Context) ([]fault.Rule, error) {
	_, business, err := h.businessRules(ctx)
	return append(h.script.Rules(), business...), err
}

// ClearFaults drops all rules.
func (h *HIS) ClearFaults(ctx context.Context) error {
	h.script.Clear()
	_, err := h.db.ExecContext(ctx, "delete from his_fault")
	return err
}

func (h *HIS) businessRules(ctx context.Context) (ids []int64, rules []fault.Rule, err error) {
	rows, err := h.db.QueryContext(ctx, `select id, fault, operation, biz_key, times, rate, delay_ms, hits from his_fault
		where times = 0 or hits < times order by id`)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, ms int64
		var r fault.Rule
		if err := rows.Scan(&id, &r.Fault, &r.Operation, &r.Key, &r.Times, &r.Rate, &ms, &r.Hits); err != nil {
			return nil, nil, err
		}
		r.Delay = fault.Delay(time.Duration(ms) * time.Millisecond)
		ids, rules = append(ids, id), append(rules, r)
	}
	return ids, rules, rows.Err()
}

// strike finds the business fault for a new row of a table; the zero rule is none.
func (h *HIS) strike(ctx context.Context, table, key string) (fault.Rule, error) {
	ids, rules, err := h.businessRules(ctx)
	if err != nil {
		return fault.Rule{}, err
	}
	for i, r := range rules {
		fits := (r.Operation == "" || r.Operation == table) && strings.Contains(key, r.Key)
		if !fits || r.Rate > 0 && rand.Float64() >= r.Rate {
			continue
		}
		var hit sql.Result
		hit, err = h.db.ExecContext(ctx, h.bind("update his_fault set hits = hits + 1 where id = ? and (times = 0 or hits < times)"), ids[i])
		if err != nil {
			return fault.Rule{}, err
		}
		if n, err := hit.RowsAffected(); err != nil || n == 1 {
			return r, err
		}
	}
	return fault.Rule{}, nil
}
