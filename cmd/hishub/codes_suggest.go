package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/redis"
	"hishub/mapping"
	"hishub/mapping/codes"
)

type codesSuggest struct {
	wholeHub
	Of       string `arg:"" name:"hospital" help:"Hospital, whose worklist is taken; or a hospital folder."`
	Table    string `arg:"" help:"Name of the table."`
	From     string `help:"The HIS's dictionary from this file instead of asking: the JSON of an answer, or CSV or XLSX with columns code, name, spec." type:"existingfile" placeholder:"FILE"`
	Ours     string `help:"Our codes with their names, CSV or XLSX with columns code, name, spec: those that the table lacks are wanted, too." type:"existingfile" placeholder:"FILE"`
	Question string `help:"Which dictionary to ask for; by default it is told by the table's name." enum:",drug.list,stock.list,icd.list,department.list,doctor.list" default:""`
}

func (codesSuggest) Help() string {
	return "Examples:\n  hishub codes suggest dongshan drug > proposals.csv\n  hishub codes suggest mapping/hospitals/dongshan route --from routes.csv --ours our-routes.csv\n\nWanted are the worklist's codes, the codes of --ours that the table lacks, and the fixed values that it must have (sex, ways of paying). Each row has a score and both names. Nothing is applied: take out what is wrong, then 'hishub codes import DIR TABLE proposals.csv --add'."
}

// wanted is a table for whose codes rows are to be proposed.
type wanted struct {
	files fs.FS
	uses  []core.CodeUse
	ask   func(context.Context, core.Kind) (any, error)
}

func (c *codesSuggest) Run(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(c.Of, "hospital.yaml")); err == nil {
		return c.suggest(ctx, wanted{files: os.DirFS(c.Of), ask: c.askFolder})
	}
	h, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	w := wanted{ask: func(ctx context.Context, k core.Kind) (any, error) {
		return h.questions.Question(ctx, c.Of, k, &core.DictionaryQuery{})
	}}
	if w.files, err = activeFiles(ctx, h.store, c.Of); err != nil {
		return err
	}
	all, err := h.store.Unmapped(ctx, []string{c.Of}, false)
	if err != nil {
		return err
	}
	for _, u := range all {
		if u.Table == c.Table {
			w.uses = append(w.uses, u.Use())
		}
	}
	return c.suggest(ctx, w)
}

// askFolder asks the HIS of a folder that nobody has applied.
func (c *codesSuggest) askFolder(ctx context.Context, kind core.Kind) (any, error) {
	if err := c.set(); err != nil {
		return nil, err
	}
	folder, err := loadFolder(os.DirFS(c.Of))
	if err != nil {
		return nil, inFolder(c.Of, err)
	}
	client := redis.Embedded()
	defer client.Close()
	h, err := openHospital(folder.Dialect, 0, redis.NewSessions(client), nil)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	q := &delivery.Questions{Hospitals: onlyHospital{h}}
	return q.Question(ctx, h.ID(), kind, &core.DictionaryQuery{})
}

// onlyHospital implements delivery.Hospitals for one.
type onlyHospital struct{ h *core.Hospital }

func (o onlyHospital) Hospital(context.Context, string, int) (*core.Hospital, error) {
	return o.h, nil
}

func (c *codesSuggest) suggest(ctx context.Context, w wanted) error {
	data, err := fs.ReadFile(w.files, path.Join("codes", c.Table+".csv"))
	if err != nil {
		return fmt.Errorf("there is no codes/%s.csv; write one with the line ours,theirs", c.Table)
	}
	table, wrong := codes.Read(c.Table, data)
	if table == nil {
		return wrong
	}
	known := table.Known()
	for _, code := range table.Open { // a draft's, not filled in yet
		w.uses = append(w.uses, core.CodeUse{Table: c.Table, Direction: core.CodeOut, Code: code})
	}
	if c.Ours != "" {
		ours, err := readEntries(c.Ours)
		if err != nil {
			return err
		}
		known = append(ours, known...)
		for _, e := range ours {
			w.uses = append(w.uses, core.CodeUse{Table: c.Table, Direction: core.CodeOut, Code: e.Code, Text: e.Name})
		}
	}
	words := mapping.ClosedSets(w.files, mapping.Options{Env: os.LookupEnv, Open: connectors.Open})[c.Table]
	for _, v := range words {
		w.uses = append(w.uses, core.CodeUse{Table: c.Table, Direction: core.CodeOut, Code: v})
	}
	entries, err := c.dictionary(ctx, w)
	if err != nil {
		return err
	}
	var dictionary *codes.Dictionary
	if entries != nil {
		dictionary = codes.NewDictionary(entries)
	}
	proposals, left := table.Propose(table.Lacking(w.uses), dictionary, known, words)
	if _, err := os.Stdout.Write(codes.WriteProposals(proposals)); err != nil {
		return err
	}
	var without []string
	for _, u := range left {
		without = append(without, string(u.Direction)+" "+u.Code)
	}
	slices.Sort(without)
	fmt.Fprintf(os.Stderr, "%s; nothing was applied\n", core.Count(len(proposals), "proposal", "proposals"))
	if len(without) > 0 {
		fmt.Fprintf(os.Stderr, "nothing is known about %s: %s\n", core.Count(len(without), "code", "codes"), strings.Join(without[:min(len(without), 20)], ", "))
	}
	return nil
}

// dictionaries are the questions by what tables of theirs are called.
var dictionaries = []struct {
	kind  core.Kind
	words []string
}{
	{core.DrugList, []string{"drug", "medicine", "item"}},
	{core.ICDList, []string{"icd", "diag"}},
	{core.DepartmentList, []string{"dep"}},
	{core.DoctorList, []string{"doctor", "doc"}},
	{core.StockList, []string{"stock"}},
}

// dictionary is the HIS's own list; nil where the table is of another sort, and no
// file was given.
func (c *codesSuggest) dictionary(ctx context.Context, w wanted) ([]codes.Entry, error) {
	if c.From != "" {
		return readEntries(c.From)
	}
	kind := core.Kind(c.Question)
	for _, d := range dictionaries {
		if kind == "" && slices.ContainsFunc(d.words, func(word string) bool { return strings.Contains(strings.ToLower(c.Table), word) }) {
			kind = d.kind
		}
	}
	if kind == "" {
		return nil, nil
	}
	answer, err := w.ask(ctx, kind)
	if err != nil {
		return nil, fmt.Errorf("ask for %s (or give a saved list by --from): %w", kind, err)
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return codes.ReadEntries(string(kind), data)
}

func readEntries(file string) ([]codes.Entry, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	entries, err := codes.ReadEntries(filepath.Base(file), data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return entries, nil
}
