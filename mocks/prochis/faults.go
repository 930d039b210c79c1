package prochis

import (
	"context"
	"fmt"
	"slices"

	"hishub/mocks/dbproxy"
	"hishub/mocks/fault"
)

// businessKinds are played by the procedures, from the table his_fault.
var businessKinds = []fault.Kind{fault.Busy, fault.Reject, fault.DuplicateAnswer}

// AddFaults puts each rule where it is played. See control.Hospital.
func (h *HIS) AddFaults(ctx context.Context, rules []fault.Rule) error {
	known := slices.Concat(dbproxy.Kinds, businessKinds)
	for i, r := range rules {
		if err := r.Check(known); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	for _, r := range rules {
		if slices.Contains(dbproxy.Kinds, r.Fault) {
			if err := h.script.Add(r); err != nil {
				return err
			}
			continue
		}
		_, err := h.db.Exec(ctx, `insert into his_fault (fault, operation, biz_key, times, rate) values ($1, $2, $3, $4, $5)`,
			string(r.Fault), r.Operation, r.Key, r.Times, r.Rate)
		if err != nil {
			return fmt.Errorf("write his_fault: %w", err)
		}
	}
	return nil
}

// Faults lists the rules in force, those of the network first.
func (h *HIS) Faults(ctx context.Context) ([]fault.Rule, error) {
	rules := h.script.Rules()
	rows, err := h.db.Query(ctx, `select fault, operation, biz_key, times, rate, hits from his_fault where times = 0 or hits < times order by id`)
	if err != nil {
		return nil, fmt.Errorf("read his_fault: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r fault.Rule
		if err := rows.Scan(&r.Fault, &r.Operation, &r.Key, &r.Times, &r.Rate, &r.Hits); err != nil {
			return nil, fmt.Errorf("read his_fault: %w", err)
		}
		rules = append(rules, r)
	}
	return rules, rows.Err()
}

// ClearFaults drops all rules.
func (h *HIS) ClearFaults(ctx context.Context) error {
	h.script.Clear()
	_, err := h.db.Exec(ctx, "delete from his_fault")
	return err
}
