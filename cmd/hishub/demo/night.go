package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/reconcile"
	"hishub/mocks/books"
	"hishub/mocks/paychannel"
)

// yesterday is the day that the night compares: everybody's books of it are
// whole, although its patients pay during the story.
type yesterday struct {
	day  string
	from time.Time
}

func (t *tale) theDayBefore() yesterday {
	now := time.Now().In(books.Zone)
	from := time.Date(now.Year(), now.Month(), now.Day()-1, 0, 0, 0, 0, books.Zone)
	return yesterday{from.Format(time.DateOnly), from}
}

// paidAt is a visit whose payment came at a time of the day before.
func (y yesterday) visit(n int, at time.Duration) (*core.Prescription, *core.Payment) {
	rx := prescriptionOf(n, 1+n%4)
	p := paymentOf(rx)
	p.PaidAt = y.from.Add(at)
	rx.WrittenAt = p.PaidAt.Add(-time.Hour)
	rx.ValidUntil = rx.WrittenAt.Add(72 * time.Hour)
	return rx, p
}

// night makes a day before with three things that went wrong and three that only
// look so, and lets the night find out.
func (t *tale) night(ctx context.Context) error {
	y := t.theDayBefore()
	seeded, err := t.seed(ctx, y)
	if err != nil {
		return err
	}
	t.say("   made for %s: money that nobody told us of, a refund at the window that nobody told us of, one prescription paid twice;\n", y.day)
	t.say("   and what only looks wrong: a payment at 23:59:58, a registration for 0 yuan, a booking that the cashier took back\n")
	if err := t.nights(ctx, y.day, seeded); err != nil {
		return err
	}
	if err := t.repair(ctx, y.day); err != nil {
		return err
	}
	if err := t.nights(ctx, y.day, nil); err != nil {
		return fmt.Errorf("after the repairs: %w", err)
	}
	t.held("after the repairs the second run of %s is clean at all three", y.day)
	return t.reports(ctx, y.day)
}

// seed makes the day before. It returns the differences by hospital: class and
// number of each.
func (t *tale) seed(ctx context.Context, y yesterday) (map[string][]string, error) {
	// 西湖's HIS dates bookings by its own clock, which stands at that day for now.
	clock := func(at time.Time) error {
		text := ""
		if !at.IsZero() {
			text = at.Format(books.TimeLayout)
		}
		return t.his["xihu"].post(ctx, "/books/edit", map[string]any{"clock": text}, nil)
	}
	if err := clock(y.from.Add(15 * time.Hour)); err != nil {
		return nil, err
	}
	var calm errgroup.Group
	for _, hospital := range names {
		for i := range 12 {
			rx, p := y.visit(t.next(), 8*time.Hour+time.Duration(i)*37*time.Minute)
			calm.Go(func() error { return t.paidVisit(ctx, hospital, rx, p) })
		}
	}
	if err := calm.Wait(); err != nil {
		return nil, err
	}
	seeded := map[string][]string{}
	// 1: the patient paid again under another order.
	rx, once := y.visit(t.next(), 13*time.Hour)
	if err := t.paidVisit(ctx, "xihu", rx, once); err != nil {
		return nil, err
	}
	again := *once
	again.OrderID, again.ChannelNo, again.PaidAt = once.OrderID+"B", once.ChannelNo+"B", once.PaidAt.Add(time.Minute)
	if err := t.charge("xihu", &again); err != nil {
		return nil, err
	}
	seeded["xihu"] = []string{string(reconcile.PaidTwice) + " " + again.OrderID}

	// The HIS of 西湖 books this one two seconds after midnight, on the next day.
	if err := clock(y.from.AddDate(0, 0, 1).Add(2 * time.Second)); err != nil {
		return nil, err
	}
	rx, late := y.visit(t.next(), 24*time.Hour-2*time.Second)
	if err := t.paidVisit(ctx, "xihu", rx, late); err != nil {
		return nil, err
	}
	if err := clock(time.Time{}); err != nil {
		return nil, err
	}
	at := func(d time.Duration) string { return y.from.Add(d).Format(books.TimeLayout) }
	ours := map[string]string{} // our account at each HIS, under which it books for us
	for _, hospital := range names {
		b, err := t.his[hospital].books(ctx)
		if err != nil {
			return nil, err
		}
		ours[hospital] = b.Settlements[0].Operator
	}
	free := books.Settlement{Order: "GH00000001", PaidAt: at(9 * time.Hour), Registration: true, Operator: ours["dongshan"]}
	if err := t.his["dongshan"].post(ctx, "/books/edit", map[string]any{"add": free}, nil); err != nil {
		return nil, err
	}
	undone := books.Settlement{Order: "CX00000001", ChannelNo: "4200000099000001", AmountFen: 1500, PaidAt: at(10 * time.Hour), Operator: ours["nanyuan"]}
	if err := t.his["nanyuan"].post(ctx, "/books/edit", map[string]any{"add_reversed": undone}, nil); err != nil {
		return nil, err
	}

	// 2: the channel has the money, its call back never reached us.
	rx, lost := y.visit(t.next(), 14*time.Hour)
	if _, err := t.client.submit(ctx, "nanyuan", core.PrescriptionCreate, rx); err != nil {
		return nil, err
	}
	if err := t.delivered(ctx, "nanyuan", core.PrescriptionCreate, rx.No); err != nil {
		return nil, err
	}
	t.lost = lost
	if err := t.charge("nanyuan", lost); err != nil {
		return nil, err
	}
	seeded["nanyuan"] = []string{string(reconcile.MissingHere) + " " + lost.OrderID}

	// 3: a cashier gave money back at the window, and the HIS told nobody.
	rx, back := y.visit(t.next(), 11*time.Hour)
	if err := t.paidVisit(ctx, "dongshan", rx, back); err != nil {
		return nil, err
	}
	window := books.Refund{Order: back.OrderID, HisNo: "CK00000001", AmountFen: int64(back.Amount), RefundedAt: at(16 * time.Hour)}
	if err := t.his["dongshan"].post(ctx, "/books/edit", map[string]any{"add_refund": window}, nil); err != nil {
		return nil, err
	}
	seeded["dongshan"] = []string{string(reconcile.MissingHere) + " " + window.HisNo}
	return seeded, nil
}

// paidVisit is a visit whose payment the HIS knows at the end.
func (t *tale) paidVisit(ctx context.Context, hospital string, rx *core.Prescription, p *core.Payment) error {
	if err := t.visit(ctx, hospital, rx, p); err != nil {
		return err
	}
	return t.delivered(ctx, hospital, core.PaymentSettle, p.OrderID)
}

// nights compares the day at each hospital, and what was found with what was made.
func (t *tale) nights(ctx context.Context, day string, made map[string][]string) error {
	for _, hospital := range names {
		var n api.NightDetail
		if err := t.client.post(ctx, "/v1/hospitals/"+hospital+"/nights/"+day, map[string]any{"full": true}, &n); err != nil {
			return err
		}
		if n.State != reconcile.NightDone {
			return fmt.Errorf("%s: the night is %s: %s", hospital, n.State, n.Problem)
		}
		found := []string{}
		for _, f := range n.Findings {
			if f.Class.Difference() {
				found = append(found, string(f.Class)+" "+f.Number)
			}
		}
		if !slices.Equal(found, append([]string{}, made[hospital]...)) {
			return fmt.Errorf("%s: the night found [%s], made was [%s]", hospital, strings.Join(found, ", "), strings.Join(made[hospital], ", "))
		}
		if looks := lookWrong[hospital]; n.Counts[looks] == 0 {
			return fmt.Errorf("%s: nothing is %s, although something was made so", hospital, looks)
		}
		held := ""
		if k := n.Counts[reconcile.CrossDay]; k > 0 {
			held = fmt.Sprintf(", %d held over midnight", k)
		}
		if k := n.Counts[reconcile.Excluded]; k > 0 {
			held += fmt.Sprintf(", %d left out", k)
		}
		t.held("%-9s %s: %d matched%s; differences: [%s]", hospital, day, n.Counts[reconcile.Matched], held, strings.Join(found, ", "))
	}
	return nil
}

// lookWrong is what each hospital's decoy must have been taken for.
var lookWrong = map[string]reconcile.Class{"dongshan": reconcile.Excluded, "xihu": reconcile.CrossDay, "nanyuan": reconcile.Excluded}

// repair has two people of finance approve what the policy proposes, and waits
// until it is carried out.
func (t *tale) repair(ctx context.Context, day string) error {
	var people []*client
	var err error
	for _, name := range []string{"finance-a", "finance-b"} {
		key, err := t.run("key", "new", "--name", name, "--role", "finance")
		if err != nil {
			return err
		}
		people = append(people, &client{base: t.client.base, key: strings.TrimSpace(key), http: t.client.http})
	}
	var agreed []reconcile.Case
	for _, hospital := range names {
		var list struct{ Cases []reconcile.Case }
		if err := t.client.get(ctx, "/v1/cases?live=true&day="+day+"&hospital="+hospital, &list); err != nil {
			return err
		}
		for _, c := range list.Cases {
			if c.Number == t.lost.OrderID {
				err = t.whose(ctx, c, people[0], people[1])
			} else {
				err = approve(ctx, c, people[0], people[1])
			}
			if err != nil {
				return err
			}
			agreed = append(agreed, c)
		}
	}
	for _, c := range agreed {
		d, err := t.carriedOut(ctx, c)
		if err != nil {
			return err
		}
		t.held("%-9s case %d, %s (%s), %s yuan: %s, approved by two, carried out", c.Hospital, c.ID, c.Class, d.Chinese, c.Amount, c.Repair.Action)
	}
	return t.moneyBack()
}

// whose: of money that only the channel has, one of finance says whose it is, and the
// other agrees.
func (t *tale) whose(ctx context.Context, c reconcile.Case, first, second *client) error {
	var d api.CaseDetail
	err := first.post(ctx, fmt.Sprintf("/v1/cases/%d/repairs", c.ID), map[string]any{"action": reconcile.Record, "note": "the patient has the receipt",
		"params": reconcile.Params{VisitNo: t.lost.VisitNo, PatientNo: t.lost.PatientNo, Bill: strings.Join(t.lost.Bills, ",")}}, &d)
	if err != nil {
		return err
	}
	if d.Repair == nil || d.Repair.State != reconcile.RepairProposed {
		return fmt.Errorf("one person's word made the repair of case %d %+v", c.ID, d.Repair)
	}
	return second.post(ctx, fmt.Sprintf("/v1/cases/%d/repairs/%d/approve", c.ID, d.Repair.ID), map[string]any{"note": "agreed"}, nil)
}

// approve needs both: one person's yes carries nothing out.
func approve(ctx context.Context, c reconcile.Case, first, second *client) error {
	if c.Repair == nil {
		return fmt.Errorf("%s: nothing is proposed for case %d, %s %s", c.Hospital, c.ID, c.Class, c.Number)
	}
	path := fmt.Sprintf("/v1/cases/%d/repairs/%d/approve", c.ID, c.Repair.ID)
	var d api.CaseDetail
	if err := first.post(ctx, path, map[string]any{"note": "seen in the channel's own pages"}, &d); err != nil {
		return err
	}
	if d.Repair.State != reconcile.RepairProposed {
		return fmt.Errorf("one person's yes made repair %d %s", c.Repair.ID, d.Repair.State)
	}
	return second.post(ctx, path, map[string]any{"note": "agreed"}, nil)
}

func (t *tale) carriedOut(ctx context.Context, c reconcile.Case) (d api.CaseDetail, err error) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if err := t.client.get(ctx, fmt.Sprintf("/v1/cases/%d", c.ID), &d); err != nil {
			return d, err
		}
		switch {
		case d.Repair.State == reconcile.RepairDone:
			return d, nil
		case d.Repair.State == reconcile.RepairFailed || time.Now().After(deadline):
			return d, fmt.Errorf("repair %d of case %d is %s: %s", c.Repair.ID, c.ID, d.Repair.State, d.Repair.Problem)
		}
	}
}

// moneyBack looks into the channel's own books: every refund of this story, each once.
func (t *tale) moneyBack() error {
	back := map[string]int{}
	for _, r := range t.channel.Books().Export().Refunds {
		if r.Channel == paychannel.WeChat {
			back[r.Payment]++
		}
	}
	for payment, n := range back {
		if n != 1 {
			return fmt.Errorf("the channel paid %s back %d times", payment, n)
		}
	}
	t.held("the channel's own books: %d refunds, each once", len(back))
	return nil
}

// reports leaves finance's report of the day to be opened, and names the certificate beside it.
func (t *tale) reports(ctx context.Context, day string) error {
	for _, name := range []string{day + ".html", day + ".xlsx"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.client.base+"/v1/hospitals/xihu/reports/"+name, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+t.client.key)
		a, err := t.client.http.Do(r)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err == nil && a.StatusCode != http.StatusOK {
			err = fmt.Errorf("report %s: %s", name, a.Status)
		}
		if err != nil {
			return err
		}
		file := filepath.Join(t.report, "report-xihu-"+name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
		t.held("finance's report: %s", file)
	}
	t.held("the hospital's certificate, to be signed: %s", t.certificate)
	return nil
}
