package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"hishub/cmd/hishub/certify"
	"hishub/core"
	"hishub/mapping"
)

// hospitalCertify runs the conformance list of one folder.
type hospitalCertify struct {
	variables
	Folder    string        `arg:"" help:"Hospital folder."`
	Report    string        `help:"Where the report goes; certification-<hospital>-<date>.html if empty." placeholder:"FILE"`
	Lang      string        `help:"Language of the report: zh or en." enum:"zh,en" default:"zh"`
	Only      []string      `help:"Chapters of the list, as C,D; all if none is named." placeholder:"LETTER"`
	Kind      []string      `help:"Writes to try, as payment.settle; all that the folder has if none is named." placeholder:"KIND"`
	Messages  string        `help:"Folder of <kind>.json to make messages from in place of the cases, and of <kind>.refused.json that the HIS must refuse." type:"existingdir" placeholder:"DIR"`
	WithMoney *bool         `help:"Also try what moves money. By default only where every connector leads to this machine." negatable:""`
	Timeout   time.Duration `help:"Let no wait of the folder (timeouts, settle_after, inquiries) last longer; the report says so." placeholder:"DURATION"`
	JSON      bool          `name:"json" help:"Print what was found as JSON, too."`
}

func (hospitalCertify) Help() string {
	return "Examples:\n  hishub hospital certify mapping/hospitals/dongshan --env test.env\n  hishub hospital certify mapping/hospitals/xihu --env test.env --only C,D --kind payment.settle --with-money\n\nIt writes to the HIS that the environment names: give it a test system. Made-up patients only. The list, and what each item proves: docs/certification.md. Exit status 0 when nothing failed, 3 when something did."
}

// errNotConforming makes the exit status tell that an item failed.
var errNotConforming = errors.New("the hospital does not conform; see the report")

func (c *hospitalCertify) Run(ctx context.Context) error {
	if err := c.set(); err != nil {
		return err
	}
	files := os.DirFS(c.Folder)
	folder, err := loadFolder(files)
	if err != nil {
		return inFolder(c.Folder, err)
	}
	agreed, err := loadCases(files)
	if err != nil {
		return inFolder(c.Folder, err)
	}
	o := certify.Options{
		Folder: folder, Files: files, Agreed: agreed, Messages: c.Messages, Timeout: c.Timeout, Lang: c.Lang, Version: version,
		Progress: func(it *certify.Item) {
			fmt.Fprintf(os.Stderr, "%-14s %s\n", it.Result, it.ID)
			if (it.Result == certify.Fail || it.Result == certify.NotTried) && len(it.Why) > 0 {
				fmt.Fprintf(os.Stderr, "               %s\n", strings.Join(it.Why, "\n               "))
			}
		},
	}
	if c.WithMoney != nil {
		o.Money = map[bool]string{true: "yes", false: "no"}[*c.WithMoney]
	}
	for _, letter := range c.Only {
		if letter = strings.ToUpper(letter); len(letter) != 1 || !strings.Contains("ABCDEFGH", letter) {
			return fmt.Errorf("--only %s: not a chapter; they are A to H", letter)
		}
		o.Only = append(o.Only, letter)
	}
	for _, kind := range c.Kind {
		if t, ok := core.Lookup(core.Kind(kind)); !ok || t.Mode != core.Write || folder.Dialect.Operations[t.Kind] == nil {
			return fmt.Errorf("--kind %s: not a write of this folder; it has %s", kind, strings.Join(writes(folder), ", "))
		}
		o.Kinds = append(o.Kinds, core.Kind(kind))
	}
	found, err := certify.Run(ctx, o)
	if err != nil {
		return err
	}
	if c.Report == "" {
		c.Report = fmt.Sprintf("certification-%s-%s.html", found.Hospital, found.Started.Format(time.DateOnly))
	}
	if err := writeReport(c.Report, found); err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(found); err != nil {
			return err
		}
	} else {
		n := found.Counts
		fmt.Printf("%s: %d pass, %d fail, %d not applicable, %d not tried; report: %s\n", found.Hospital, n[certify.Pass], n[certify.Fail], n[certify.NotApplicable], n[certify.NotTried], c.Report)
	}
	if found.Failed() {
		return errNotConforming
	}
	return nil
}

func writes(f *mapping.Folder) (names []string) {
	for _, name := range kinds(f) {
		if t, _ := core.Lookup(core.Kind(name)); t.Mode == core.Write {
			names = append(names, name)
		}
	}
	return names
}

func writeReport(name string, c *certify.Certificate) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(c.HTML(file), file.Close())
}
