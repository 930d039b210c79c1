package notify

import (
	"context"
	_ "embed"
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// parameters are all that a notice may say, and what each looks like. There is none for a
// name, a department, a diagnosis, a drug: a notice is read on locked screens and by
// whoever has the phone, so it says that there is something, and the app says what.
var parameters = map[string]*regexp.Regexp{
	"hospital": regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`), // its id; said as its name
	"no":       regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`),
	"date":     regexp.MustCompile(`^\d{4}-\d\d-\d\d$`),
	"time":     regexp.MustCompile(`^\d\d:\d\d$`),
	"minutes":  regexp.MustCompile(`^\d{1,4}$`),
	"count":    regexp.MustCompile(`^\d{1,6}$`),
	"amount":   regexp.MustCompile(`^\d{1,9}\.\d\d$`), // yuan
}

func allowed() string {
	var names []string
	for name := range parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Words of a template or notice.
type Words struct {
	Title string `json:"title" minLength:"1" maxLength:"40"`
	Text  string `json:"text" minLength:"1" maxLength:"300" doc:"with named parameters in braces, as {no}"`
}

var named = regexp.MustCompile(`\{([^{}]*)\}`)

// check refuses words that name a parameter which a notice may not have, such as a
// patient's name.
func (w Words) check() error {
	var ps core.Problems
	for field, text := range map[string]string{"title": w.Title, "text": w.Text} {
		if strings.TrimSpace(text) == "" {
			ps = append(ps, core.Problem{Field: field, What: "missing"})
		}
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if parameters[m[1]] == nil {
				ps = append(ps, core.Problem{Field: field, What: fmt.Sprintf("{%s}: a notice says nothing of a patient; it may name %s", m[1], allowed())})
			}
		}
		if strings.ContainsAny(named.ReplaceAllString(text, ""), "{}") {
			ps = append(ps, core.Problem{Field: field, What: "a brace without its other: write a parameter as {no}"})
		}
	}
	return ps.OrNil()
}

// with puts the parameters in; one that is missing is an error, so that nobody reads braces.
func (w Words) with(params map[string]string) (Words, error) {
	var missing []string
	put := func(text string) string {
		return named.ReplaceAllStringFunc(text, func(m string) string {
			value, ok := params[m[1:len(m)-1]]
			if !ok {
				missing = append(missing, m)
			}
			return value
		})
	}
	said := Words{put(w.Title), put(w.Text)}
	if len(missing) > 0 {
		return said, fmt.Errorf("the template names %s, which the event does not give", strings.Join(missing, ", "))
	}
	return said, nil
}

// event is what can be told, and how it is said when a hospital has no words of its own.
type event struct {
	kind   string
	urgent bool
	words  map[string]Words // by language
}

//go:embed templates.csv
var shipped string

// events by name; kinds in the order of the file.
var events, kinds = read(shipped)

func read(text string) (map[string]event, []string) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		panic(err) // the file is part of the program
	}
	all, kinds := map[string]event{}, []string{}
	for _, r := range rows[1:] {
		e, ok := all[r[0]]
		if !ok {
			e = event{kind: r[1], urgent: r[2] == "yes", words: map[string]Words{}}
		}
		e.words[r[3]] = Words{r[4], r[5]}
		all[r[0]] = e
		if !slices.Contains(kinds, r[1]) {
			kinds = append(kinds, r[1])
		}
	}
	return all, kinds
}

// The languages; the first is spoken where an account says none.
var languages = []string{"zh", "en"}

// Template is how a hospital says an event in a language on a channel.
type Template struct {
	Event    string  `json:"event"`
	Language string  `json:"language" enum:"zh,en"`
	Channel  Channel `json:"channel" enum:"inbox,sms,wechat"`
	Words
	Own bool `json:"own" doc:"the hospital's own words; else those that the program came with"`
}

// SetTemplate gives a hospital words of its own.
func (s *Service) SetTemplate(ctx context.Context, by clinic.Person, hospital string, t Template) (Template, error) {
	if _, ok := events[t.Event]; !ok {
		return t, fmt.Errorf("set a template: %w: no event %q", clinic.ErrNotFound, t.Event)
	}
	if err := t.check(); err != nil {
		return t, err
	}
	_, err := s.Database.Exec(ctx, `insert into notify.template (hospital, event, language, channel, title, text, account) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (hospital, event, language, channel) do update set title = excluded.title, text = excluded.text, account = excluded.account, updated_at = clock_timestamp()`,
		hospital, t.Event, t.Language, t.Channel, t.Title, t.Text, by.Account)
	if err != nil {
		return t, fmt.Errorf("set a template: %w", err)
	}
	t.Own = true
	return t, nil
}

// Templates are how a hospital says everything, its own words and ours.
func (s *Service) Templates(ctx context.Context, hospital string) (all []Template, err error) {
	rows, err := s.Database.Query(ctx, `select event, language, channel, title, text from notify.template where hospital = $1`, hospital)
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	type key struct {
		event, language string
		channel         Channel
	}
	own := map[key]Words{}
	var k key
	var w Words
	if _, err := pgx.ForEachRow(rows, []any{&k.event, &k.language, &k.channel, &w.Title, &w.Text}, func() error { own[k] = w; return nil }); err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	for name, e := range events {
		for _, language := range languages {
			for _, channel := range channels {
				w, mine := own[key{name, language, channel}]
				if !mine {
					w = e.words[language]
				}
				all = append(all, Template{name, language, channel, w, mine})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Template) int { return strings.Compare(a.Event, b.Event) })
	return all, nil
}
