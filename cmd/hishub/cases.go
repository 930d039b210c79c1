package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/reconcile"
)

type reconcileCases struct {
	place
	Case     int64  `arg:"" optional:"" help:"One case, with its trail."`
	Hospital string `help:"Only this hospital."`
	Day      string `help:"Only this day."`
	Class    string `help:"Only this class: missing_at_his, missing_here, without_money, paid_twice, amount_differs, state_differs, repeated, ambiguous." enum:",missing_at_his,missing_here,without_money,paid_twice,amount_differs,state_differs,repeated,ambiguous" default:"" placeholder:"CLASS"`
	State    string `help:"Only this state: open, repairing, resolved, written_off." enum:",open,repairing,resolved,written_off" default:"" placeholder:"STATE"`
	All      bool   `help:"Also those that are resolved or written off."`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (reconcileCases) Help() string {
	return "Examples:\n  hishub reconcile cases --hospital dongshan\n  hishub reconcile cases 17"
}

func (c *reconcileCases) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		if c.Case != 0 {
			one, trail, err := s.Case(ctx, c.Case)
			if err != nil {
				return err
			}
			return printCase(one, trail, c.JSON)
		}
		q := reconcile.CaseQuery{Class: reconcile.Class(c.Class), State: reconcile.CaseState(c.State), Day: c.Day, Live: !c.All && c.State == "", Limit: 500}
		if c.Hospital != "" {
			q.Hospitals = []string{c.Hospital}
		}
		cases, err := s.Cases(ctx, q)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(cases)
		}
		t := newTable("CASE", "HOSPITAL", "DAY", "CLASS", "TYPE", "NUMBER", "AMOUNT", "AGE", "OWNER", "STATE", "REPAIR")
		for _, k := range cases {
			t.row(k.ID, k.Hospital, k.Day, k.Class, k.Type, k.Number, k.Amount, age(k.Day), k.Owner, k.State, repairText(k.Repair))
		}
		return t.print()
	})
}

// age of a difference counts from the end of its day.
func age(day string) string {
	d, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return "?"
	}
	return fmt.Sprintf("%dd", int(time.Since(d).Hours()/24))
}

func repairText(r *reconcile.Repair) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%d %s, %s, proposed by %s", r.ID, r.Action, r.State, r.ProposedBy)
}

func printCase(c reconcile.Case, trail []reconcile.Trail, asJSON bool) error {
	if asJSON {
		return printJSON(map[string]any{"case": c, "trail": trail})
	}
	m := c.Class.Meaning()
	fmt.Printf("case %d: %s (%s) of %s %s at %s on %s: %s yuan, %s, owner %s\n  %s\n", c.ID, c.Class, m.Chinese, c.Type, c.Number, c.Hospital, c.Day, c.Amount, c.State, c.Owner, c.Finding.Cause)
	t := newTable("PARTY", "NUMBER", "CHANNEL NO", "HIS NO", "AMOUNT", "AT", "STATE")
	for _, p := range reconcile.Parties {
		for _, e := range c.Finding.Entries(p) {
			state := string(e.State)
			if e.Told != "" {
				state = string(e.Told)
			}
			t.row(p, e.Number, e.ChannelNo, e.HisNo, e.Amount, e.At.Format(time.RFC3339), state)
		}
	}
	if err := t.print(); err != nil {
		return err
	}
	if r := c.Repair; r != nil {
		fmt.Printf("  repair %d: %s, %s, proposed by %s", r.ID, r.Action, r.State, r.ProposedBy)
		for _, who := range []string{r.ApprovedBy, r.SecondBy} {
			if who != "" {
				fmt.Printf(", approved by %s", who)
			}
		}
		if r.Message != 0 {
			fmt.Printf(", message %d", r.Message)
		}
		if r.Problem != "" {
			fmt.Printf(": %s", r.Problem)
		}
		fmt.Println()
	}
	allowed := make([]string, len(m.Repairs))
	for i, a := range m.Repairs {
		allowed[i] = string(a)
	}
	fmt.Printf("  allowed repairs: %s\n", strings.Join(allowed, ", "))
	w := newTable("AT", "WHO", "WHAT", "NOTE")
	for _, h := range trail {
		w.row(h.At.Format(time.RFC3339), h.Who, h.Verb, h.Note)
	}
	return w.print()
}

type reconcileNote struct {
	place
	Case int64  `arg:"" help:"Case."`
	Text string `arg:"" help:"What to note. No names of patients."`
	By   string `default:"${user}" help:"Who."`
}

func (reconcileNote) Help() string {
	return "Example:\n  hishub reconcile note 17 \"asked the bank, answer on Monday\""
}

func (c *reconcileNote) Run(ctx context.Context) error {
	if strings.TrimSpace(c.Text) == "" {
		return core.Problems{{Field: "text", What: "empty"}}
	}
	return c.with(ctx, func(s *postgres.Store) error { return s.Note(ctx, c.Case, c.By, c.Text) })
}

type reconcileAssign struct {
	place
	Case  int64  `arg:"" help:"Case."`
	Owner string `arg:"" help:"finance, operations, hospital_it, or a person."`
	By    string `default:"${user}" help:"Who."`
}

func (reconcileAssign) Help() string {
	return "Example:\n  hishub reconcile assign 17 hospital_it"
}

func (c *reconcileAssign) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error { return s.Assign(ctx, c.Case, c.By, c.Owner) })
}

type reconcilePropose struct {
	place
	Case   int64  `arg:"" help:"Case."`
	Action string `arg:"" enum:"resend,reverse,pay_back,record,write_off" help:"resend, reverse, pay_back, record or write_off."`
	Visit  string `help:"Visit number, where we know nothing of it."`
	Who    string `name:"patient" help:"Patient number, where we know nothing of it."`
	Bill   string `help:"Numbers of the bills or prescriptions that were paid, joined by commas."`
	Order  string `help:"Of a refund: our order number of the payment."`
	Note   string `help:"Why."`
	By     string `default:"${user}" help:"Who."`
}

func (reconcilePropose) Help() string {
	return "Example:\n  hishub reconcile propose 17 record --visit V001 --patient 0000024772 --bill RX0001 --note \"the call back was lost\""
}

func (c *reconcilePropose) Run(ctx context.Context) error {
	if c.Action == string(reconcile.WriteOff) && strings.TrimSpace(c.Note) == "" {
		return core.Problems{{Field: "note", What: "missing: a write-off says why, with --note"}}
	}
	return c.with(ctx, func(s *postgres.Store) error {
		p := reconcile.Params{VisitNo: c.Visit, PatientNo: c.Who, Bill: c.Bill, OrderID: c.Order}
		r, err := s.Propose(ctx, c.Case, reconcile.Action(c.Action), p, c.By, c.Note)
		if err == nil {
			fmt.Printf("repair %d: %s is proposed; approve it with: hishub reconcile approve %d (from the hospital's four_eyes_from on another person must)\n", r.ID, r.Action, r.ID)
		}
		return err
	})
}

type reconcileApprove struct {
	wholeHub
	Repair int64  `arg:"" help:"Repair."`
	Note   string `help:"Why."`
	By     string `default:"${user}" help:"Who."`
}

func (reconcileApprove) Help() string {
	return "Example:\n  hishub reconcile approve 9 --note \"seen in the channel's own pages\"\n\nFrom the hospital's four_eyes_from on, two people must say yes; who proposed it is one of them."
}

func (c *reconcileApprove) Run(ctx context.Context) error {
	h, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	hospital, err := h.store.RepairHospital(ctx, c.Repair)
	if err != nil {
		return err
	}
	where, err := h.hospitals.place(ctx, hospital)
	if err != nil {
		return err
	}
	r, err := h.store.Approve(ctx, c.Repair, c.By, c.Note, where.FourEyesFrom)
	if err != nil {
		return err
	}
	if r.State == reconcile.RepairProposed {
		fmt.Printf("repair %d: noted; this amount takes a second person\n", r.ID)
	} else {
		fmt.Printf("repair %d: approved; the running hub carries it out\n", r.ID)
	}
	return nil
}

type reconcileReject struct {
	place
	Repair int64  `arg:"" help:"Repair."`
	Note   string `help:"Why."`
	By     string `default:"${user}" help:"Who."`
}

func (reconcileReject) Help() string {
	return "Example:\n  hishub reconcile reject 9 --note \"the patient came back and paid\""
}

func (c *reconcileReject) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		_, err := s.Reject(ctx, c.Repair, c.By, c.Note)
		return err
	})
}

type reconcileReceipt struct {
	place
	Hospital  string       `arg:"" help:"Hospital."`
	Channel   core.Channel `arg:"" enum:"wechat,alipay,unionpay,insurance,bank,cash" help:"Way of paying: wechat, alipay, unionpay, insurance, bank, cash."`
	Day       string       `arg:"" help:"Business day that it settles, yyyy-MM-dd."`
	Amount    string       `arg:"" help:"Yuan, as 1024.50."`
	Reference string       `arg:"" help:"The bank's own number; the same again of one channel replaces it, and what it said before is kept."`
	By        string       `default:"${user}" help:"Who."`
}

func (reconcileReceipt) Help() string {
	return "Example:\n  hishub reconcile receipt xihu wechat 2026-01-05 60.82 B20260106-0001"
}

func (c *reconcileReceipt) Run(ctx context.Context) error {
	amount, err := core.ParseYuan(c.Amount)
	if err != nil {
		return core.Problems{{Field: "amount", What: "not yuan like 1024.50"}}
	}
	if day, err := time.Parse(time.DateOnly, c.Day); err != nil || day.After(time.Now().Add(14*time.Hour)) {
		return core.Problems{{Field: "day", What: "not a day like 2026-01-05 that has begun"}}
	}
	return c.with(ctx, func(s *postgres.Store) error {
		if _, err := s.Name(ctx, c.Hospital); err != nil {
			return err
		}
		return s.SaveSettlement(ctx, reconcile.Settlement{Hospital: c.Hospital, Channel: c.Channel, Day: c.Day, Amount: amount, Reference: c.Reference, Who: c.By})
	})
}
