package reconcile

import (
	"context"
	"fmt"
	"sync"

	"hishub/core"
	"hishub/core/delivery"
)

const (
	// askers are how many prescriptions are asked about at once.
	askers = 4
	// silence is after how many questions in a row without an answer no more are asked.
	silence = 20
)

// states asks the HIS about each prescription and order of the day and compares
// how far they are. What it does not answer is counted and fails nothing: the
// money of the day is compared without it.
func (r *run) states(ctx context.Context) error {
	if !r.place.States || !r.place.Can(core.PrescriptionStatus) && !r.place.Can(core.OrderStatus) {
		return nil
	}
	if err := r.step(ctx, "prescriptions and orders"); err != nil {
		return err
	}
	all, err := r.Store.Records(ctx, r.night.Hospital, r.from, r.to)
	if err != nil {
		return fmt.Errorf("read our prescriptions and orders: %w", err)
	}
	var ours []Prescribed
	for _, p := range all {
		if kind, _ := about(p); r.place.Can(kind) {
			ours = append(ours, p)
		}
	}
	theirs := r.askAll(ctx, ours)
	if err := ctx.Err(); err != nil {
		return err
	}
	findings, unanswered := CompareStates(ours, theirs, r.now, r.place.PaymentTransit)
	for _, p := range unanswered {
		// Not a difference, and not the end of one that was found before.
		findings = append(findings, Finding{Class: InTransit, Type: p.Type, Number: p.Number, Amount: p.Amount, Cause: "the HIS has not said yet what it knows of it", Ours: []Entry{p.entry()}})
	}
	if len(unanswered) > 0 {
		r.night.Why += fmt.Sprintf("; of %d prescriptions and orders the HIS did not answer about %d", len(ours), len(unanswered))
	}
	known := map[string]Prescribed{}
	for _, p := range ours {
		known[p.Key()] = p
	}
	f := finder{run: r}
	for _, one := range findings {
		p := known[string(one.Type)+" "+one.Number]
		if one.Class == StateDiffers && p.Void != 0 {
			// What is to be told again is that it was taken back. Where drugs were
			// handed out or tests done since, a person must see why first.
			o := &one.Ours[0]
			o.Message, o.Told = p.Void, delivery.State(p.VoidTold)
			o.Reversal = theirs[p.Key()].Stage == core.StageActive
		}
		if err := f.found(ctx, one); err != nil {
			return err
		}
	}
	return f.flush(ctx)
}

// about is the question about a prescription or order.
func about(p Prescribed) (core.Kind, core.Body) {
	if p.Type == EntryOrder {
		return core.OrderStatus, &core.OrderQuery{No: p.Number, VisitNo: p.VisitNo, PatientNo: p.PatientNo}
	}
	return core.PrescriptionStatus, &core.PrescriptionQuery{No: p.Number, VisitNo: p.VisitNo, PatientNo: p.PatientNo, Amount: p.Amount}
}

// askAll asks about each, a few at a time, until all are asked or the HIS is silent.
func (r *run) askAll(ctx context.Context, ours []Prescribed) map[string]*core.Status {
	var (
		work    sync.WaitGroup
		mu      sync.Mutex
		theirs  = map[string]*core.Status{}
		next    int
		unheard int
	)
	take := func() (Prescribed, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(ours) || unheard >= silence || ctx.Err() != nil {
			return Prescribed{}, false
		}
		if kind, _ := about(ours[next]); r.place.resting(kind, r.clock()) {
			return Prescribed{}, false
		}
		next++
		return ours[next-1], true
	}
	for range min(askers, len(ours)) {
		work.Go(func() {
			for {
				p, more := take()
				if !more {
					return
				}
				kind, q := about(p)
				answer, err := r.Asker.Question(ctx, r.night.Hospital, kind, q)
				status, ok := answer.(*core.Status)
				r.done.Add(1)
				mu.Lock()
				switch {
				case err == nil && ok:
					theirs[p.Key()] = status
					unheard = 0
				case unanswered(err):
					unheard++
				}
				mu.Unlock()
			}
		})
	}
	work.Wait()
	return theirs
}
