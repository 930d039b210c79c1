package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"hishub/connectors"
	"hishub/connectors/soap"
	"hishub/core"
	"hishub/mapping"
	"hishub/mapping/draft"
)

type hospitalNew struct {
	Dir     string   `arg:"" help:"The new folder; it must not exist, or be empty."`
	ID      string   `name:"id" help:"The hospital's id: lower-case letters, digits, -. The folder's name where it is left out."`
	Name    string   `help:"The hospital's name, for people." required:""`
	WSDL    []string `name:"wsdl" type:"existingfile" sep:"none" help:"A WSDL on disk, with what it imports beside it. May be given again."`
	OpenAPI []string `name:"openapi" type:"existingfile" sep:"none" help:"An OpenAPI 3.0 or 3.1, or a Swagger 2.0 file."`
	Sample  []string `type:"path" sep:"none" help:"A recorded request or answer, x.request.xml, x.response.xml; or a folder of them. May be given again." placeholder:"FILE"`
	DB      []string `name:"db" sep:"none" help:"A schema dump (.sql), or the DSN of a live database, as a connector of kind db takes it."`
	Only    []string `help:"Draft these transactions only: kinds (payment.settle) or nouns (prescription, for all of them)." placeholder:"KIND"`
	Schema  string   `help:"The schema of a live database, where it is not the user's own."`
}

func (hospitalNew) Help() string {
	return "Examples:\n  hishub hospital new hospitals/dongshan --name 东山医院 --wsdl his.wsdl --sample SaveFee.request.xml --sample SaveFee.response.xml\n  hishub hospital new hospitals/xihu --name 西湖医院 --openapi his.yaml\n  hishub hospital new hospitals/nanyuan --name 南园医院 --db middle.sql\n  hishub hospital new hospitals/haining --name 海宁医院 --wsdl his.wsdl --only prescription,payment,ledger.detail\n\nDrafts a hospital folder from what the hospital has. What can be guessed is marked \"# guess\"; what cannot is TODO, and 'hishub hospital check' lists every TODO with its place. Nothing is read from the network but a live database, in which nothing is changed. A sample whose name begins with a transaction (payment.status.request.json, payment.status.absent.response.json) is of that one; what is made of none is noted. Samples become cases of the folder: mask what is a patient's in them first."
}

var hospitalID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func (c *hospitalNew) Run(ctx context.Context) error {
	if c.ID == "" {
		c.ID = filepath.Base(filepath.Clean(c.Dir))
	}
	if !hospitalID.MatchString(c.ID) {
		return fmt.Errorf("the id %q: write lower-case letters, digits and -, as --id dongshan", c.ID)
	}
	if entries, err := os.ReadDir(c.Dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty; name a new folder", c.Dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", c.Dir, err)
	}
	sources, err := c.sources(ctx)
	if err != nil {
		return err
	}
	folder, err := draft.New(ctx, sources)
	if err != nil {
		return err
	}
	if err := c.write(folder); err != nil {
		return err
	}
	return c.report(folder)
}

func (c *hospitalNew) write(folder *draft.Folder) error {
	for name, data := range folder.Files {
		if !fs.ValidPath(name) {
			return fmt.Errorf("%q cannot be a file of the folder", name)
		}
		at := filepath.Join(c.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return fmt.Errorf("make the folder: %w", err)
		}
		if err := os.WriteFile(at, data, 0o644); err != nil { //nolint:gosec // a folder holds no secret
			return fmt.Errorf("write the folder: %w", err)
		}
	}
	return nil
}

// sources reads what the hospital gave. All that is wrong is said at once.
func (c *hospitalNew) sources(ctx context.Context) (draft.Sources, error) {
	s := draft.Sources{ID: c.ID, Name: c.Name, Only: c.Only}
	var wrong []error
	read := func(names []string, into *[]draft.File) {
		for _, name := range names {
			data, err := os.ReadFile(name)
			if wrong = append(wrong, err); err == nil {
				*into = append(*into, draft.File{Name: name, Data: data})
			}
		}
	}
	for i, name := range c.WSDL {
		w, err := readWSDL(name, i)
		if wrong = append(wrong, err); err == nil {
			s.WSDLs = append(s.WSDLs, w)
		}
	}
	read(c.OpenAPI, &s.OpenAPIs)
	samples, err := samplesIn(c.Sample)
	wrong = append(wrong, err)
	read(samples, &s.Samples)
	for _, name := range c.DB {
		if _, err := os.Stat(name); err == nil {
			read([]string{name}, &s.Schemas)
			continue
		}
		d, err := c.readDatabase(ctx, name)
		if wrong = append(wrong, err); err == nil {
			s.Databases = append(s.Databases, d)
		}
	}
	return s, errors.Join(wrong...)
}

// samplesIn opens the folders among the names.
func samplesIn(names []string) (files []string, err error) {
	for _, name := range names {
		entries, err := os.ReadDir(name)
		if err != nil { // a file, or nothing: reading it will say
			files = append(files, name)
			continue
		}
		before := len(files)
		for _, e := range entries {
			if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") && !strings.HasSuffix(e.Name(), "~") {
				files = append(files, filepath.Join(name, e.Name()))
			}
		}
		if len(files) == before {
			return nil, fmt.Errorf("--sample %s: the folder holds no files", name)
		}
	}
	return files, nil
}

// readWSDL reads a WSDL and what it imports. A second one has a folder of its own
// in the new folder, so that files of the same name do not meet.
func readWSDL(name string, number int) (draft.WSDL, error) {
	files := os.DirFS(filepath.Dir(name))
	offered, err := soap.Offer(files, filepath.Base(name))
	if err != nil {
		return draft.WSDL{}, fmt.Errorf("%s: %w", name, err)
	}
	place := func(file string) string {
		if number > 0 {
			return path.Join(fmt.Sprintf("wsdl%d", number+1), file)
		}
		return file
	}
	w := draft.WSDL{File: place(filepath.Base(name)), Version: offered.Version, Port: offered.Port, Files: map[string][]byte{}}
	for _, file := range offered.Files {
		data, err := fs.ReadFile(files, file)
		if err != nil {
			return draft.WSDL{}, fmt.Errorf("%s: %w", name, err)
		}
		w.Files[place(file)] = data
	}
	for _, m := range offered.Methods {
		w.Methods = append(w.Methods, draft.Method{Shape: m.Shape, Words: m.Words, Refused: m.Refused, OneWay: m.OneWay, Header: m.Header, Alone: m.Alone})
	}
	return w, nil
}

// readDatabase asks a live database what it has. Errors never show the DSN.
func (c *hospitalNew) readDatabase(ctx context.Context, dsn string) (draft.Database, error) {
	var driver string
	switch {
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		driver = "postgres"
	case strings.HasPrefix(dsn, "sqlserver://"):
		driver = "sqlserver"
	case strings.HasPrefix(dsn, "oracle://"):
		driver = "oracle"
	case strings.Contains(dsn, "@tcp("):
		driver = "mysql"
	default:
		return draft.Database{}, errors.New("--db: no file of that name, and not like postgres://…, sqlserver://…, oracle://… or user:password@tcp(host:3306)/database")
	}
	options := map[string]any{"driver": driver, "dsn": dsn}
	if c.Schema != "" {
		options["schema"] = c.Schema
	}
	connector, err := connectors.Open(core.ConnectorSpec{Kind: "db", Options: options})
	if err != nil {
		return draft.Database{}, fmt.Errorf("--db: %w", err)
	}
	defer connector.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return draft.ReadDatabase(ctx, connector, driver)
}

// report checks the folder and says what is in it, what is open, and what is next.
func (c *hospitalNew) report(folder *draft.Folder) error {
	fmt.Printf("%s: %d files\n\n", c.Dir, len(folder.Files))
	t := newTable("TRANSACTION", "CALL", "KNOWN BY", "GUESSED", "OPEN", "CASES")
	for _, g := range folder.Guesses {
		t.row(g.Kind, short(g.Call), g.Why, g.Places, g.Open, g.Cases)
	}
	if len(folder.Guesses) == 0 {
		fmt.Println("no transaction was recognised; see offered.yaml for what there is")
	} else if err := t.print(); err != nil {
		return err
	}
	for _, n := range folder.Notes {
		fmt.Printf("note: %s\n", n)
	}
	files := os.DirFS(c.Dir)
	if err := accept(c.Dir, files, []string{allSame}, false); err != nil {
		return err
	}
	checked := checkFolder(c.Dir, files)
	open, wrong := 0, 0
	for _, m := range checked.Mistakes {
		if mapping.Mistake(m).Unfilled() {
			open++
		} else if !m.Warning {
			wrong++
		}
	}
	fmt.Printf("\nopen points: %d\n", open)
	for _, m := range checked.Mistakes {
		if mapping.Mistake(m).Unfilled() {
			fmt.Printf("%s/%s:%d: %s\n", c.Dir, m.File, m.Line, lineOf(files, m.File, m.Line))
		}
	}
	if wrong > 0 {
		fmt.Printf("\nto be mended: %d\n", wrong)
		for _, m := range checked.Mistakes {
			if !m.Warning && !mapping.Mistake(m).Unfilled() {
				fmt.Printf("%s/%s\n", c.Dir, mapping.Mistake(m))
			}
		}
	}
	fmt.Printf("\nnext: fill in each TODO, verify each \"# guess\" against the hospital's documents, delete what is not wanted; then\n")
	fmt.Printf("  hishub hospital check %s                 # what is still open; with nothing open, its cases\n", c.Dir)
	kind := "KIND"
	if len(folder.Guesses) > 0 {
		kind = string(folder.Guesses[0].Kind)
	}
	if !slices.ContainsFunc(folder.Guesses, func(g draft.Guess) bool { return g.Cases > 0 }) {
		fmt.Printf("  hishub hospital try %s %s message.json\n", c.Dir, kind)
		return nil
	}
	fmt.Printf("  hishub hospital check %s --accept same   # keep what is sent where it says what was recorded\n", c.Dir)
	fmt.Println("samples are part of the cases now: nothing of a real patient may be in them")
	return nil
}

func short(s string) string {
	if rs := []rune(s); len(rs) > 40 {
		return string(rs[:39]) + "…"
	}
	return s
}

// lineOf is a line of a file of the folder, for people.
func lineOf(files fs.FS, name string, number int) string {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if number--; number == 0 {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
