package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"hishub/core/report"
)

type reconcileExport struct {
	wholeHub
	Hospital string `arg:"" help:"Hospital."`
	Period   string `arg:"" help:"A day, yyyy-MM-dd, or a month, yyyy-MM."`
	Format   string `help:"xlsx, html, csv (a zip with a file for each table) or json." enum:"xlsx,html,csv,json" default:"xlsx"`
	Out      string `help:"File to write; a name that tells the hospital and the period, in this folder, if none." type:"path" placeholder:"FILE"`
}

func (reconcileExport) Help() string {
	return "Examples:\n  hishub reconcile export xihu 2026-01-05\n  hishub reconcile export xihu 2026-01 --format csv --out january.zip"
}

// exports says how each format is written, and how its files end.
var exports = map[string]struct {
	ending string
	write  func(io.Writer, report.Document) error
}{
	"xlsx": {"xlsx", report.XLSX}, "html": {"html", report.HTML}, "csv": {"zip", report.CSV}, "json": {"json", report.JSON},
}

func (c *reconcileExport) Run(ctx context.Context) error {
	h, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	d, err := report.Gatherer{Books: h.store, Place: h.hospitals.place}.Document(ctx, c.Hospital, c.Period)
	if err != nil {
		return err
	}
	how := exports[c.Format]
	if c.Out == "" {
		c.Out = d.FileName() + "." + how.ending
	}
	// A report that could not be written whole leaves none.
	file, err := os.CreateTemp(filepath.Dir(c.Out), ".report-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err := how.write(file, d); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), c.Out); err != nil {
		return err
	}
	fmt.Println(c.Out)
	return nil
}
