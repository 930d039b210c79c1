package catalog

import (
	"context"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Fact is one line of what is known of substances. The platform brings a tiny sample; a
// hospital imports what its knowledge base exports.
type Fact struct {
	// Kind: interaction (of Substance with Other), dose (one dose of Substance is at most
	// Limit DoseUnit), daily (in a day), age (Substance is not for people below AgeFrom or
	// from AgeTo on), class (Substance is of the class Other), same (Substance and Other are
	// of one group: together they are a duplicate).
	Kind      string `json:"kind" enum:"interaction,dose,daily,age,class,same"`
	Substance string `json:"substance"`
	Other     string `json:"other,omitempty"`
	Limit     string `json:"limit,omitempty"`
	DoseUnit  string `json:"dose_unit,omitempty"`
	AgeFrom   int    `json:"age_from,omitempty"`
	AgeTo     int    `json:"age_to,omitempty"`
	// Stops: it is not prescribed; else it is a warning that a doctor may answer for.
	Stops bool   `json:"stops,omitempty"`
	Text  string `json:"text" doc:"what a doctor reads"`
}

// Knowledge is a version of it.
type Knowledge struct {
	Version int    `json:"version"`
	Source  string `json:"source"`
	Facts   []Fact `json:"-"`
}

// header of the CSV, in any order.
var header = []string{"kind", "substance", "other", "limit", "dose_unit", "age_from", "age_to", "stops", "text"}

// ReadFacts reads knowledge as CSV in UTF-8 with a header of these columns, in any order:
// kind, substance, other, limit, dose_unit, age_from, age_to, stops (yes or empty), text.
// The error names every line that is wrong.
func ReadFacts(r io.Reader) ([]Fact, error) {
	lines := csv.NewReader(r)
	lines.TrimLeadingSpace = true
	head, err := lines.Read()
	if err != nil {
		return nil, core.Problems{{Field: "line 1", What: "is no CSV header"}}
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	at := map[string]int{}
	for i, name := range head {
		if !slices.Contains(header, strings.TrimSpace(name)) {
			return nil, core.Problems{{Field: "line 1", What: fmt.Sprintf("column %q is not known; there are %s", name, strings.Join(header, ", "))}}
		}
		at[strings.TrimSpace(name)] = i
	}
	var facts []Fact
	var ps core.Problems
	for {
		row, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			ps = append(ps, core.Problem{Field: fmt.Sprintf("line %d", broken.StartLine), What: "cannot be read as CSV with as many columns as the header"})
			if errors.Is(err, csv.ErrFieldCount) {
				continue
			}
			break
		} else if err != nil {
			return nil, fmt.Errorf("read knowledge: %w", err)
		}
		line, _ := lines.FieldPos(0)
		field := fmt.Sprintf("line %d", line)
		get := func(name string) string {
			if i, ok := at[name]; ok {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		f := Fact{Kind: get("kind"), Substance: get("substance"), Other: get("other"), Limit: get("limit"), DoseUnit: get("dose_unit"), Stops: get("stops") != "", Text: get("text")}
		for name, n := range map[string]*int{"age_from": &f.AgeFrom, "age_to": &f.AgeTo} {
			if text := get(name); text != "" {
				if *n, err = strconv.Atoi(text); err != nil || *n < 0 {
					ps = append(ps, core.Problem{Field: field, What: name + " is no age in years"})
				}
			}
		}
		if what := f.wrong(); what != "" {
			ps = append(ps, core.Problem{Field: field, What: what})
		}
		facts = append(facts, f)
	}
	if len(facts) == 0 && len(ps) == 0 {
		ps = core.Problems{{Field: "line 2", What: "missing: there is nothing but the header"}}
	}
	return facts, ps.OrNil()
}

// wrong says what is wrong with a fact, "" for nothing.
func (f Fact) wrong() string {
	switch {
	case f.Substance == "":
		return "substance is missing"
	case f.Text == "":
		return "text is missing: say what a doctor should read"
	}
	switch f.Kind {
	case "interaction", "same":
		if f.Other == "" || f.Other == f.Substance {
			return "other is missing: the second substance"
		}
	case "dose", "daily":
		if !core.IsDecimal(f.Limit) || strings.HasPrefix(f.Limit, "-") || f.DoseUnit == "" {
			return "limit and dose_unit are missing: a number and its unit"
		}
	case "age":
		if f.AgeFrom == 0 && f.AgeTo == 0 {
			return "age_from or age_to is missing"
		}
	case "class":
		if !slices.Contains([]Class{Narcotic, Psychotropic, Toxic, Radioactive, Precursor}, Class(f.Other)) {
			return "other is no class: narcotic, psychotropic, toxic, radioactive or precursor"
		}
	default:
		return "kind is none of interaction, dose, daily, age, class, same"
	}
	return ""
}

// Import puts new knowledge in place of what holds at a hospital.
func (s *Service) Import(ctx context.Context, hospital, source, by string, facts []Fact) (Knowledge, error) {
	rules, err := json.Marshal(facts)
	if err != nil {
		return Knowledge{}, err
	}
	k := Knowledge{Source: source, Facts: facts}
	err = s.Database.QueryRow(ctx, `insert into catalog.knowledge (hospital, source, imported_by, rules) values ($1, $2, $3, $4) returning version`, hospital, source, by, rules).Scan(&k.Version)
	if err != nil {
		return k, fmt.Errorf("import knowledge: %w", err)
	}
	return k, nil
}

// Knowledge that holds at a hospital: what it imported last, or the sample.
func (s *Service) Knowledge(ctx context.Context, hospital string) (k Knowledge, err error) {
	var rules []byte
	err = s.Database.QueryRow(ctx, `select version, source, rules from catalog.knowledge where hospital in ('', $1) order by hospital desc, version desc limit 1`, hospital).Scan(&k.Version, &k.Source, &rules)
	if errors.Is(err, pgx.ErrNoRows) {
		return k, clinic.ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(rules, &k.Facts)
	}
	if err != nil {
		return k, fmt.Errorf("read knowledge: %w", err)
	}
	return k, nil
}

//go:embed sample.csv
var sampleFacts string

// sample is put into an empty catalogue, so that a new installation shows what facts do.
// It is no knowledge base: a hospital imports its own.
func (s *Service) sample(ctx context.Context) error {
	facts, err := ReadFacts(strings.NewReader(sampleFacts))
	if err != nil {
		return err
	}
	rules, err := json.Marshal(facts)
	if err != nil {
		return err
	}
	_, err = s.Database.Exec(ctx, `insert into catalog.knowledge (hospital, source, imported_by, rules) select '', 'the sample of the platform, no knowledge base', 'hub', $1
		where not exists (select from catalog.knowledge)`, rules)
	return err
}
