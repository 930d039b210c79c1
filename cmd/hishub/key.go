package main

import (
	"context"
	"fmt"
	"strings"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/postgres"
)

type keyCmd struct {
	New    keyNew    `cmd:"" help:"Make a key and print it, once."`
	List   keyList   `cmd:"" help:"List keys."`
	Revoke keyRevoke `cmd:"" help:"Revoke a key."`

	RotateMaster keyRotateMaster `cmd:"" help:"Change the master key in the key file while hubs run."`
	Renew        keyRenew        `cmd:"" help:"Make a new data key, with which everything is sealed from now on."`
}

type keyNew struct {
	place
	Name      string   `help:"Who or what uses it." required:""`
	Role      string   `help:"submitter (submit, ask, read), operator (also decide, pause, run nights, propose repairs), finance (nights and reports, approve repairs), auditor (read, and the audit), admin (all of it, keys and webhooks)." enum:"submitter,operator,finance,auditor,admin" required:""`
	Hospitals []string `help:"Hospitals that it is good for; all if none is named." sep:","`
}

func (keyNew) Help() string {
	return "Example:\n  hishub key new --name clinic --role submitter --hospitals dongshan,xihu"
}

func (c *keyNew) Run(ctx context.Context) error {
	if c.Role == "admin" && c.Hospitals != nil {
		return core.Problems{{Field: "--hospitals", What: "an admin's key is good for all hospitals; make it an operator's, or leave this out"}}
	}
	return c.with(ctx, func(s *postgres.Store) error {
		text, prefix, hash := api.NewKey()
		if _, err := s.AddKey(ctx, postgres.Key{Prefix: prefix, Hash: hash, Name: c.Name, Role: c.Role, Hospitals: c.Hospitals}); err != nil {
			return err
		}
		fmt.Println(text)
		return nil
	})
}

type keyList struct {
	place
	JSON bool `name:"json" help:"For scripts."`
}

func (keyList) Help() string { return "Example:\n  hishub key list --json" }

func (c *keyList) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		keys, err := s.Keys(ctx)
		if err != nil {
			return err
		}
		for i := range keys {
			keys[i].Hash = nil
		}
		if c.JSON {
			return printJSON(keys)
		}
		t := newTable("ID", "KEY", "NAME", "ROLE", "HOSPITALS", "MADE", "REVOKED")
		for _, k := range keys {
			hospitals, revoked := "all", ""
			if k.Hospitals != nil {
				hospitals = strings.Join(k.Hospitals, ",")
			}
			if k.RevokedAt != nil {
				revoked = k.RevokedAt.Local().Format("2006-01-02 15:04")
			}
			t.row(k.ID, "hk_"+k.Prefix+"_…", k.Name, k.Role, hospitals, k.CreatedAt.Local().Format("2006-01-02 15:04"), revoked)
		}
		return t.print()
	})
}

type keyRevoke struct {
	place
	ID int64 `arg:"" help:"Number from 'hishub key list'."`
}

func (keyRevoke) Help() string { return "Example:\n  hishub key revoke 3" }

func (c *keyRevoke) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		if err := s.RevokeKey(ctx, c.ID); err != nil {
			return err
		}
		fmt.Println("revoked; running processes notice within 5 seconds")
		return nil
	})
}
