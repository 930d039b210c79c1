package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/postgres"
	"hishub/mapping"
	"hishub/mapping/codes"
)

// codesCmd is the life of a folder's code tables.
type codesCmd struct {
	Export   codesExport   `cmd:"" help:"Write a code table to a file for people, CSV or XLSX."`
	Import   codesImport   `cmd:"" help:"Bring a CSV or XLSX into a folder's code table, and say what that changes."`
	Unmapped codesUnmapped `cmd:"" help:"List the codes that the tables lacked while the hub was at work; dismiss one."`
	Suggest  codesSuggest  `cmd:"" help:"Propose rows for unmapped codes from the HIS's own dictionary."`
}

// tableFile is codes/<table>.csv of a folder.
func tableFile(dir, table string) string { return filepath.Join(dir, "codes", table+".csv") }

// readTable reads a table of a folder; nil if the folder has none of that name.
func readTable(dir, table string) (*codes.Table, error) {
	if table == "" || strings.ContainsAny(table, `/\.`) {
		return nil, core.Problems{{Field: "table", What: "not the name of a code table: codes/<table>.csv without .csv"}}
	}
	if _, err := os.Stat(filepath.Join(dir, "hospital.yaml")); err != nil {
		return nil, fmt.Errorf("%s: not a hospital folder: it has no hospital.yaml", dir)
	}
	data, err := os.ReadFile(tableFile(dir, table))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	t, wrong := codes.Read(table, data)
	// What a draft has not filled in is what is to be brought in.
	wrong = slices.DeleteFunc(wrong, func(p codes.Problem) bool { return p.What == codes.Unfilled })
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s has mistakes; see 'hishub hospital check %s':\n%w", tableFile(dir, table), dir, wrong)
	}
	return t, nil
}

type codesExport struct {
	Dir    string `arg:"" help:"Hospital folder."`
	Table  string `arg:"" help:"Name of the table, as pay_channel."`
	XLSX   bool   `name:"xlsx" help:"As a workbook, all cells text." xor:"form"`
	CSV    bool   `name:"csv" help:"As CSV in UTF-8 with a byte order mark, which Excel wants; the default." xor:"form"`
	Output string `short:"o" help:"File to write; - is the standard output. By default TABLE.csv or TABLE.xlsx here." placeholder:"FILE"`
}

func (codesExport) Help() string {
	return "Examples:\n  hishub codes export mapping/hospitals/dongshan route --xlsx\n  hishub codes export mapping/hospitals/dongshan route -o -"
}

func (c *codesExport) Run() error {
	t, err := readTable(c.Dir, c.Table)
	if err != nil {
		return err
	}
	if t == nil {
		return fmt.Errorf("there is no %s%s", tableFile(c.Dir, c.Table), didYouMean(c.Table, namesIn(filepath.Join(c.Dir, "codes"), ".csv")))
	}
	c.XLSX = c.XLSX || !c.CSV && strings.EqualFold(filepath.Ext(c.Output), ".xlsx")
	var out bytes.Buffer
	if c.XLSX {
		if err := t.XLSX(&out); err != nil {
			return err
		}
	} else {
		out.WriteString("\ufeff")
		out.Write(bytes.TrimPrefix(t.CSV(), []byte("\ufeff")))
	}
	if c.Output == "" {
		c.Output = c.Table + ".csv"
		if c.XLSX {
			c.Output = c.Table + ".xlsx"
		}
	}
	if c.Output == "-" {
		_, err := os.Stdout.Write(out.Bytes())
		return err
	}
	if err := os.WriteFile(c.Output, out.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s in %s\n", core.Count(len(t.Rows), "row of "+c.Table+" is", "rows of "+c.Table+" are"), c.Output)
	return nil
}

type codesImport struct {
	Dir    string `arg:"" help:"Hospital folder."`
	Table  string `arg:"" help:"Name of the table; made if there is none."`
	File   string `arg:"" help:"The .csv or .xlsx to bring in." type:"existingfile"`
	Add    bool   `help:"Keep rows that the file does not have, and leave out columns that the table does not have. Else the table becomes what the file holds."`
	DryRun bool   `help:"Only say what would change."`
}

func (codesImport) Help() string {
	return "Examples:\n  hishub codes import mapping/hospitals/dongshan route route.xlsx --dry-run\n  hishub codes import mapping/hospitals/dongshan route proposals.csv --add\n\nThe first row names the columns: ours, theirs, name, from, until, direction, or 我方, 对方, 名称, 生效, 失效, 方向. CSV may be UTF-8, UTF-16 or GB18030. A code that stands twice is refused with its rows. Rows that stay keep their places, so that differences are small."
}

func (c *codesImport) Run() error {
	old, err := readTable(c.Dir, c.Table)
	var wrong codes.Problems
	if errors.As(err, &wrong) && wrong[0].Cure == codes.CureSpelling && !c.Add {
		old, err = nil, nil // of another charset nothing is kept: the file is what is to be there
	}
	if err != nil {
		return err
	}
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	change, left, err := bringIn(c.Table, old, c.File, data, c.Add)
	if err != nil {
		return fmt.Errorf("%s: nothing was changed:\n%w", c.File, err)
	}
	if len(left) > 0 {
		fmt.Println("left out the columns", strings.Join(left, ", "))
	}
	printChange(change)
	if c.DryRun || change.None() && old != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, "codes"), 0o755); err != nil {
		return err
	}
	if err := replaceFile(tableFile(c.Dir, c.Table), change.Table.CSV()); err != nil {
		return err
	}
	fmt.Printf("wrote %s; now 'hishub hospital check %s'\n", tableFile(c.Dir, c.Table), c.Dir)
	return nil
}

// bringIn makes a table's change of a file that somebody sent.
func bringIn(name string, old *codes.Table, file string, data []byte, add bool) (change *codes.Change, left []string, err error) {
	sheet, err := codes.ReadSheet(file, data)
	if err != nil {
		return nil, nil, err
	}
	if add && old != nil {
		sheet, left = sheet.Without(old)
	}
	next, wrong := sheet.Import(name)
	if wrong != nil {
		return nil, nil, wrong
	}
	change, wrong = codes.Replace(old, next, add)
	if wrong != nil {
		return nil, nil, wrong
	}
	return change, left, nil
}

// replaceFile writes beside and renames, so that nobody sees half a table.
func replaceFile(name string, data []byte) error {
	beside := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"~")
	if err := os.WriteFile(beside, data, 0o644); err != nil {
		return err
	}
	return os.Rename(beside, name)
}

// mostLines bounds what is shown of a change.
const mostLines = 50

func printChange(c *codes.Change) {
	lines := 0
	show := func(sign string, values []string) {
		if lines++; lines <= mostLines {
			fmt.Println(sign, strings.Join(values, ","))
		}
	}
	for _, r := range c.Removed {
		show("-", r.Values)
	}
	for i, r := range c.Changed {
		show("~", append(slices.Clone(c.Before[i].Values), append([]string{"->"}, r.Values...)...))
	}
	for _, r := range c.Added {
		show("+", r.Values)
	}
	if lines > mostLines {
		fmt.Printf("… and %d more\n", lines-mostLines)
	}
	fmt.Printf("%d added, %d changed, %d removed; the table has %s\n", len(c.Added), len(c.Changed), len(c.Removed), core.Count(len(c.Table.Rows), "row", "rows"))
}

type codesUnmapped struct {
	place
	Hospital string `arg:"" optional:"" help:"Hospital; all if none."`
	All      bool   `help:"Also what the active folder maps by now, and what was dismissed."`
	Dismiss  string `help:"Take this code off the list for good." placeholder:"TABLE:CODE"`
	In       bool   `help:"The code to dismiss is the HIS's, not ours."`
	Note     string `help:"Why it is dismissed."`
	By       string `default:"${user}" help:"Who dismisses it."`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (codesUnmapped) Help() string {
	return "Examples:\n  hishub codes unmapped dongshan\n  hishub codes unmapped dongshan --dismiss route:XX --note \"a typing error of the clinic\"\n\nOUT is a code of ours that was to be said, IN one of the HIS. An entry goes when the active revision of the folder maps the code. What the table's default stood in for is listed as defaulted. Counts are written once a second."
}

func (c *codesUnmapped) Run(ctx context.Context) error {
	return c.with(ctx, func(store *postgres.Store) error {
		if c.Dismiss != "" {
			return c.dismiss(ctx, store)
		}
		return c.list(ctx, store)
	})
}

func (c *codesUnmapped) list(ctx context.Context, store *postgres.Store) error {
	hospitals := []string{c.Hospital}
	if c.Hospital == "" {
		hospitals = nil
		records, err := store.Hospitals(ctx)
		if err != nil {
			return err
		}
		for _, r := range records {
			hospitals = append(hospitals, r.ID)
		}
	}
	folder := func(ctx context.Context, id string) (*core.Dialect, error) {
		files, err := activeFiles(ctx, store, id)
		if err != nil {
			return nil, err
		}
		f, err := loadSample(files)
		if err != nil {
			return nil, err
		}
		return f.Dialect, nil
	}
	found := map[string][]api.UnmappedCode{}
	for _, id := range hospitals {
		all, err := api.Unmapped(ctx, store, folder, id, c.All)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		found[id] = all
	}
	if c.JSON {
		return printJSON(found)
	}
	t := newTable("HOSPITAL", "TABLE", "", "CODE", "NAME", "STATE", "FAILED", "DEFAULTED", "LAST SEEN", "MESSAGE", "SUGGESTION")
	for _, id := range sortedKeys(found) {
		for _, u := range found[id] {
			message := ""
			if u.Message != 0 {
				message = fmt.Sprint(u.Message)
			}
			state := string(u.State)
			if u.Dismissed != nil {
				state += ", dismissed by " + u.By + ": " + u.Note
			}
			t.row(id, u.Table, u.Direction, u.Code, u.Name, state, u.Unmapped, u.Defaulted, u.LastSeen.Local().Format("2006-01-02 15:04"), message, u.Suggestion)
		}
	}
	return t.print()
}

func (c *codesUnmapped) dismiss(ctx context.Context, store *postgres.Store) error {
	table, code, ok := strings.Cut(c.Dismiss, ":")
	switch {
	case c.Hospital == "":
		return core.Problems{{Field: "hospital", What: "say whose code is dismissed"}}
	case !ok:
		return core.Problems{{Field: "--dismiss", What: "write TABLE:CODE"}}
	case c.Note == "":
		return core.Problems{{Field: "--note", What: "say why"}}
	}
	direction := core.CodeOut
	if c.In {
		direction = core.CodeIn
	}
	if err := store.DismissUnmapped(ctx, c.Hospital, table, direction, code, c.By, c.Note); err != nil {
		return err
	}
	fmt.Println("dismissed")
	return nil
}

// activeFiles are the files of a hospital's active folder.
func activeFiles(ctx context.Context, store *postgres.Store, id string) (fs.FS, error) {
	revision, err := store.Revision(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	return mapping.Unpack(revision.Archive)
}

// folder is a hospital's active folder.
func (h *hub) folder(ctx context.Context, id string) (*core.Dialect, error) {
	opened, err := h.hospitals.Hospital(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	return opened.Dialect, nil
}

// noteCodes counts codes that questions met, and what came in.
func (h *hub) noteCodes(hospital string, uses []core.CodeUse) {
	h.store.NoteCodes(hospital, 0, uses...)
}
