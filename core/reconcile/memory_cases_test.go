package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"hishub/core"
	"hishub/core/delivery"
)

func (m *memory) Cases(_ context.Context, q CaseQuery) ([]Case, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Case
	for _, c := range slices.Backward(m.cases) {
		switch {
		case q.Hospitals != nil && !slices.Contains(q.Hospitals, c.Hospital):
		case q.State != "" && q.State != c.State:
		case q.Class != "" && q.Class != c.Class:
		case q.Day != "" && q.Day != c.Day:
		case q.Number != "" && q.Number != c.Number:
		case q.Live && !live(c):
		case q.Before != 0 && c.ID >= q.Before:
		case q.Limit != 0 && len(all) == q.Limit:
		default:
			all = append(all, m.copied(c))
		}
	}
	return all, nil
}

func (m *memory) copied(c *Case) Case {
	out := *c
	if c.Repair != nil {
		r := *c.Repair
		out.Repair = &r
	}
	return out
}

func (m *memory) Case(_ context.Context, id int64) (Case, []Trail, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id < 1 || int(id) > len(m.cases) {
		return Case{}, nil, errNoSuch
	}
	return m.copied(m.cases[id-1]), slices.Clone(m.trails[id]), nil
}

func (m *memory) Note(_ context.Context, id int64, who, note string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(id, who, "noted", note)
	return nil
}

func (m *memory) Assign(_ context.Context, id int64, who, owner string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cases[id-1].Owner = owner
	m.note(id, who, "assigned", owner)
	return nil
}

func (m *memory) Propose(_ context.Context, id int64, action Action, p Params, who, note string) (Repair, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.cases[id-1]
	if r := c.Repair; !live(c) || r != nil && pending(r) && (r.State != RepairProposed || r.ProposedBy != policy) {
		return Repair{}, ErrNotOpen
	}
	if c.Repair != nil && c.Repair.State == RepairProposed {
		c.Repair.State = RepairRejected
	}
	return *m.propose(c, action, p, who, note), nil
}

func (m *memory) Approve(_ context.Context, repair int64, who, note string, fourEyesFrom core.Fen) (Repair, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.repairs[repair-1]
	if r.State != RepairProposed {
		return *r, ErrNotOpen
	}
	first := r.ApprovedBy
	if first == "" && r.ProposedBy != policy {
		first = r.ProposedBy
	}
	if r.Amount >= fourEyesFrom {
		r.People = 2
	}
	if r.People > 1 {
		if first == who {
			return *r, ErrSecondPerson
		}
		if first == "" {
			r.ApprovedBy = who
			m.note(r.Case, who, "approved", note)
			return *r, nil
		}
		r.SecondBy = who
	}
	r.State, r.ApprovedAt, r.ApprovedBy = RepairApproved, m.now(), cmp.Or(r.ApprovedBy, who)
	m.cases[r.Case-1].State = CaseRepairing
	m.note(r.Case, who, "approved", note)
	return *r, nil
}

func (m *memory) Reject(_ context.Context, repair int64, who, note string) (Repair, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.repairs[repair-1]
	if r.State != RepairProposed {
		return *r, ErrNotOpen
	}
	r.State = RepairRejected
	m.note(r.Case, who, "rejected", note)
	return *r, nil
}

func (m *memory) RepairHospital(_ context.Context, repair int64) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if repair < 1 || int(repair) > len(m.repairs) {
		return "", errNoSuch
	}
	return m.cases[m.repairs[repair-1].Case-1].Hospital, nil
}

func (m *memory) ToCarryOut(_ context.Context, hospital string) ([]Repair, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Repair
	for _, r := range m.repairs {
		if r.State == RepairApproved && m.cases[r.Case-1].Hospital == hospital {
			all = append(all, *r)
		}
	}
	return all, nil
}

func (m *memory) CarryOut(ctx context.Context, repair int64, f func(context.Context, Case, Repair, Carrier) (int64, error)) (Repair, error) {
	m.acting.Lock()
	defer m.acting.Unlock()
	m.mu.Lock()
	r := m.repairs[repair-1]
	c := m.copied(m.cases[r.Case-1])
	one := *r
	m.mu.Unlock()
	if one.State != RepairApproved {
		return one, ErrNotOpen
	}
	tx := &memoryCarrier{m: m, messages: slices.Clone(m.messages)}
	message, err := f(ctx, c, one, tx)
	if err == nil && m.crash != nil {
		if err := m.crash(one); err != nil {
			return Repair{}, err // rolled back
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil && final(err):
		r.State, r.Problem = RepairFailed, err.Error()
		m.cases[r.Case-1].State = CaseOpen
		m.note(r.Case, "hub", "failed", err.Error())
		return *r, err
	case err != nil:
		return Repair{}, err
	case message != 0:
		r.State, r.Message = RepairSent, message
	default:
		r.State = RepairDone
		if r.Action == WriteOff {
			m.cases[r.Case-1].State = CaseWrittenOff
		}
	}
	m.messages = tx.messages
	m.note(r.Case, "hub", "executed", "")
	return *r, nil
}

func (m *memory) Follow(_ context.Context, hospital string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.repairs {
		if r.State != RepairSent || m.cases[r.Case-1].Hospital != hospital {
			continue
		}
		switch m.messages[r.Message-1].State {
		case delivery.Delivered:
			r.State = RepairDone
		case delivery.Cancelled:
			r.State = RepairFailed
			m.cases[r.Case-1].State = CaseOpen
		}
	}
	return nil
}

// told is a message that was accepted before the test began.
func (m *memory) message(hospital string, kind core.Kind, b core.Body, state delivery.State) int64 {
	m.messages = append(m.messages, memoryMessage{ID: int64(len(m.messages) + 1), Hospital: hospital, Message: core.Message{Kind: kind, Body: b}, State: state})
	return int64(len(m.messages))
}

// memoryCarrier is a transaction: its messages count when it is committed.
type memoryCarrier struct {
	m        *memory
	messages []memoryMessage
}

func (c *memoryCarrier) Enqueue(_ context.Context, hospital string, m core.Message) (core.Accepted, error) {
	if err := m.Body.Validate(); err != nil {
		return core.Accepted{}, err
	}
	for _, o := range c.messages {
		if o.Hospital != hospital || o.Kind != m.Kind || o.Key() != m.Key() {
			continue
		}
		a, err1 := json.Marshal(o.Body)
		b, err2 := json.Marshal(m.Body)
		if err := errors.Join(err1, err2); err != nil {
			return core.Accepted{}, err
		}
		if string(a) != string(b) {
			return core.Accepted{}, &core.Conflict{ID: o.ID, Fields: []string{"something"}}
		}
		return core.Accepted{ID: o.ID, Duplicate: true}, nil
	}
	id := int64(len(c.messages) + 1)
	c.messages = append(c.messages, memoryMessage{ID: id, Hospital: hospital, Message: m, State: delivery.Queued})
	return core.Accepted{ID: id}, nil
}

func (c *memoryCarrier) Resend(_ context.Context, message int64, _, _ string) (int64, error) {
	if message < 1 || int(message) > len(c.messages) {
		return 0, errNoSuch
	}
	c.messages[message-1].Again++
	c.messages[message-1].State = delivery.Queued
	return message, nil
}

func (c *memoryCarrier) Undecided(_ context.Context, message int64) (bool, error) {
	if message < 1 || int(message) > len(c.messages) {
		return false, errNoSuch
	}
	s := c.messages[message-1].State
	return s != delivery.Delivered && s != delivery.Cancelled, nil
}

func (c *memoryCarrier) Body(_ context.Context, message int64) (core.Body, error) {
	if message < 1 || int(message) > len(c.messages) {
		return nil, errNoSuch
	}
	return c.messages[message-1].Body, nil
}
