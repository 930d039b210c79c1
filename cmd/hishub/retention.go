package main

import (
	"context"
	"fmt"

	"hishub/core"
	"hishub/core/postgres"
)

// retentionCmd is how long what is kept by months stays.
type retentionCmd struct {
	Show retentionShow `cmd:"" help:"How long each class stays, and what there is of it."`
	Set  retentionSet  `cmd:"" help:"Keep a class for other than the usual time."`
}

type retentionShow struct {
	place
	JSON bool `name:"json" help:"For scripts."`
}

func (retentionShow) Help() string {
	return "Messages, nights, cases and the audit stay for ever.\n\nExample:\n  hishub retention show"
}

func (c *retentionShow) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		all, err := s.Kept(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(all)
		}
		t := newTable("CLASS", "KEPT", "USUALLY", "MONTHS", "OLDEST", "MIB", "WHAT")
		for _, k := range all {
			t.row(k.Class, daysKept(k.Days), daysKept(k.Usual), k.Months, k.Oldest, k.Bytes>>20, k.What)
		}
		return t.print()
	})
}

func daysKept(n int) string {
	if n == 0 {
		return "for ever"
	}
	return core.Count(n, "day", "days")
}

type retentionSet struct {
	place
	Class string `arg:"" help:"bodies, exchanges, attempts, events or statements."`
	Days  int    `arg:"" help:"Days from the end of its month, from 7 on; 0 is for ever."`
	By    string `default:"${user}" help:"Who."`
	Note  string `help:"Why." required:""`
}

func (retentionSet) Help() string {
	return "Hubs drop what is past it within six hours, month by month; what a message that is not delivered or a case that is open still needs stays.\n\nExample:\n  hishub retention set exchanges 90 --note \"the law says three months\""
}

func (c *retentionSet) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		if err := s.Keep(ctx, c.Class, c.Days, c.By, c.Note); err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", c.Class, daysKept(c.Days))
		return nil
	})
}
