package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hishub/core/api"
	"hishub/core/postgres"
	"hishub/platform/clinic"
)

// tracer is a module's part of a trace.
type tracer struct {
	module string
	hops   func(ctx context.Context, no, hospital string) ([]clinic.Hop, error)
}

// follower gathers what belongs together: from a number to the rows and messages that have
// it, and on to the numbers that these name.
type follower struct {
	store   *postgres.Store
	modules []tracer
}

// followed bounds the numbers and the messages of one trace; no case comes near.
const followed = 200

var (
	messageID = regexp.MustCompile(`^[0-9]{1,18}$`)
	traceID   = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// follow returns all that is known of a number, a message's number or a trace's id; no
// hops when nothing is.
func (f *follower) follow(ctx context.Context, id string) (api.Trace, error) {
	t := api.Trace{ID: id, Numbers: []string{}, Hops: []api.Hop{}}
	messages := map[int64]bool{}
	var numbers []string
	want := func(no string) {
		no, _, _ = strings.Cut(no, "/") // the state of drugs that were handed out
		if no != "" && !slices.Contains(numbers, no) && len(numbers) < followed {
			numbers = append(numbers, no)
		}
	}
	add := func(message int64) error {
		if messages[message] || len(messages) >= followed {
			return nil
		}
		of, err := f.store.Trace(ctx, message)
		if errors.Is(err, postgres.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		messages[message] = true
		want(of.Message.Key)
		t.Hops = append(t.Hops, hopsOf(of)...)
		return nil
	}
	if traceID.MatchString(id) {
		under, err := f.store.MessagesUnder(ctx, id, followed)
		if err != nil {
			return t, err
		}
		for _, m := range under {
			if err := add(m); err != nil {
				return t, err
			}
		}
	}
	if messageID.MatchString(id) {
		n, err := strconv.ParseInt(id, 10, 64)
		if err == nil {
			err = add(n)
		}
		if err != nil {
			return t, err
		}
	} else {
		want(id)
	}
	for i := 0; i < len(numbers); i++ { // it grows meanwhile
		hops, err := f.rows(ctx, numbers[i])
		if err != nil {
			return t, err
		}
		for _, h := range hops {
			t.Hops = append(t.Hops, h.Hop)
			for _, no := range h.related {
				want(no)
			}
		}
		found, _, err := f.store.List(ctx, postgres.Filter{Number: numbers[i]}, "", followed)
		if err != nil {
			return t, err
		}
		for _, m := range found {
			if err := add(m.ID); err != nil {
				return t, err
			}
		}
	}
	for _, no := range numbers {
		if slices.ContainsFunc(t.Hops, func(h api.Hop) bool { return h.Number == no }) {
			t.Numbers = append(t.Numbers, no)
		}
	}
	slices.SortStableFunc(t.Hops, func(a, b api.Hop) int { return a.At.Compare(b.At) })
	t.Hops = slices.CompactFunc(t.Hops, func(a, b api.Hop) bool { // the same row, found by two numbers
		return a.At.Equal(b.At) && a.Where == b.Where && a.Number == b.Number && a.What == b.What && a.Message == b.Message
	})
	return t, nil
}

type hopRow struct {
	api.Hop
	related []string
}

// rows of all modules, which find more once the hospital is known.
func (f *follower) rows(ctx context.Context, no string) (all []hopRow, err error) {
	hospital := ""
	for range 2 {
		all = nil
		for _, m := range f.modules {
			hops, err := m.hops(ctx, no, hospital)
			if err != nil {
				return nil, err
			}
			for _, h := range hops {
				all = append(all, hopRow{api.Hop{At: h.At, Where: m.module, Hospital: h.Hospital, Number: h.No, What: h.What}, h.Related})
			}
		}
		if len(all) == 0 || hospital != "" {
			break
		}
		hospital = all[0].Hospital
	}
	return all, nil
}

// hopsOf a message, without the words of anybody.
func hopsOf(t postgres.Trace) (all []api.Hop) {
	m := t.Message
	add := func(at time.Time, format string, a ...any) {
		no, _, _ := strings.Cut(m.Key, "/")
		all = append(all, api.Hop{At: at, Where: "hub", Hospital: m.Hospital, Number: no, Message: m.ID, What: fmt.Sprintf(format, a...)})
	}
	add(m.AcceptedAt, "%s accepted", m.Kind)
	if e := t.Entry; e != nil {
		add(e.At, "in the ledger: %s %s", e.Type, e.Number)
	}
	for _, a := range t.Attempts {
		late := ""
		if a.Late {
			late = ", late"
		}
		add(a.At, "attempt %d: %s %s: %s after %s%s", a.Number, a.Phase, a.Operation, a.Outcome, a.Duration.Round(time.Millisecond), late)
	}
	for _, d := range t.Decisions {
		add(d.At, "somebody decided: %s", d.Verb)
	}
	for _, e := range t.Events {
		add(e.At, "event %s", e.Type)
	}
	for _, i := range t.Inbound {
		add(i.ArrivedAt, "the HIS tells %s, %s", i.Kind, i.State)
	}
	for _, k := range t.Cases {
		add(k.OpenedAt, "case %d of %s: %s, %s", k.ID, k.Day, k.Class, k.State)
	}
	if m.DecidedAt != nil {
		add(*m.DecidedAt, "%s", m.State)
	}
	return all
}
