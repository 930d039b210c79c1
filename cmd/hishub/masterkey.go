package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/postgres/seal"
)

// keyRotateMaster changes the key that wraps the data keys.
type keyRotateMaster struct {
	place
	NewFile string `help:"Take the new key from this file, which is made if it is missing, rather than make one." placeholder:"FILE"`
	Prepare bool   `help:"Only put the new key into the key file; copy that to every machine, then run this again."`
	Forget  bool   `help:"Take the older keys out of the key file, once nothing needs them."`
	JSON    bool   `name:"json" help:"For scripts."`
}

func (keyRotateMaster) Help() string {
	return `The key file holds one key a line, the newest first; hubs that run read it again by themselves when they need it, and at SIGHUP. Only the data keys are wrapped anew; nothing that is stored is touched. Keep the old key with the backups of its time.

Examples:
  hishub key rotate-master                  hubs on this machine only
  hishub key rotate-master --prepare        several machines: then copy the key file,
  hishub key rotate-master                  and go on
  hishub key rotate-master --forget         at the end, and copy the key file again`
}

func (c *keyRotateMaster) Run(ctx context.Context) error {
	if c.Forget && (c.Prepare || c.NewFile != "") {
		return core.Problems{{Field: "--forget", What: "stands alone: it comes after the new key is in use"}}
	}
	return c.with(ctx, func(s *postgres.Store) error {
		if c.Forget {
			forgotten, err := s.ForgetMasters(ctx)
			if err != nil {
				return err
			}
			return c.say(ctx, s, fmt.Sprintf("forgot in %s: %s", c.keyFile(), cmp.Or(strings.Join(forgotten, ", "), "nothing, there was no older key")))
		}
		r, err := s.PrepareMaster(ctx, c.NewFile)
		if err != nil {
			return err
		}
		if c.Prepare {
			return c.say(ctx, s, fmt.Sprintf("%s holds the new key %s before %s; the database still needs the old one", c.keyFile(), r.Newest, strings.Join(r.Older, ", ")))
		}
		if r, err = s.WrapAnew(ctx); err != nil {
			return err
		}
		return c.say(ctx, s, fmt.Sprintf("%s wrapped with %s; the old key is needed for older backups only", core.Count(r.Keys, "data key is", "data keys are"), r.Newest))
	})
}

func (c *keyRotateMaster) say(ctx context.Context, s *postgres.Store, words string) error {
	if !c.JSON {
		fmt.Println(words)
		return nil
	}
	r, err := s.MasterKey(ctx)
	if err != nil {
		return err
	}
	return printJSON(r)
}

// keyRenew makes a data key.
type keyRenew struct {
	place
	Cipher string `help:"aes (AES-256-GCM) or sm4 (SM4-GCM); the present one by default, and by the monthly renewal." enum:",aes,sm4" default:""`
}

func (keyRenew) Help() string {
	return "What is stored stays sealed with its data key. Hubs make a new data key every 30 days by themselves.\n\nExample:\n  hishub key renew --cipher sm4"
}

func (c *keyRenew) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		if err := s.NewDataKey(ctx, seal.Cipher(c.Cipher)); err != nil {
			return err
		}
		fmt.Println("made; a running hub seals with it from its next SIGHUP on, or once it reads something that is sealed with it")
		return nil
	})
}
