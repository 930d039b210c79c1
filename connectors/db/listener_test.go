package db

import (
	"strings"
	"testing"

	"hishub/connectors/wire"
	"hishub/core"
)

func TestListenRefuses(t *testing.T) {
	using := &core.ConnectorSpec{Name: "default", Kind: "db", Options: map[string]any{"driver": "postgres", "dsn": "postgres://u@127.0.0.1:1/his"}}
	const take, done = "select id, lx from t where st = '0'", "update t set st = :st where id = :id"
	for name, c := range map[string]struct {
		options map[string]any
		using   *core.ConnectorSpec
		want    string // "" where it is good
	}{
		"good":           {map[string]any{"take": take, "done": done, "every": "1m"}, using, ""},
		"delete":         {map[string]any{"take": take, "done": "delete from t where id = :id"}, using, ""},
		"procedure":      {map[string]any{"take": take, "done": "MARK(id, st)"}, using, ""},
		"no take":        {map[string]any{"done": done}, using, "take"},
		"take changes":   {map[string]any{"take": "delete from t returning id", "done": done}, using, "not a select"},
		"take asks":      {map[string]any{"take": "select id from t where d = :day", "done": done}, using, "day"},
		"done inserts":   {map[string]any{"take": take, "done": "insert into a values (:id)"}, using, "marked twice"},
		"too often":      {map[string]any{"take": take, "done": done, "every": "100ms"}, using, "less than a second"},
		"addresses":      {map[string]any{"take": take, "done": done, "allow": []any{"10.0.0.0/8"}}, using, "fetched by us"},
		"typing error":   {map[string]any{"take": take, "done": done, "evry": "1m"}, using, "evry"},
		"other kind":     {map[string]any{"take": take, "done": done}, &core.ConnectorSpec{Name: "default", Kind: "rest"}, "not a connector of kind db"},
		"broken account": {map[string]any{"take": take, "done": done}, &core.ConnectorSpec{Name: "default", Kind: "db", Options: map[string]any{"driver": "dbase"}}, "mistakes of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Listen(core.ListenerSpec{Name: "rows", Kind: "table", Options: c.options, Using: c.using, Calls: []string{"refund"}})
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want == "":
				if a, err := l.Wire.Read(core.Incoming{Body: []byte(`{"id": 7, "lx": null}`)}); err != nil || a.Call != "refund" || a.Body.(core.Tree).Get("id") != "7" {
					t.Errorf("%+v %v", a, err)
				}
			case err == nil || !strings.Contains(err.Error(), c.want):
				t.Errorf("expected %q, got %v", c.want, err)
			}
		})
	}
}

func TestARowThatIsNone(t *testing.T) {
	w := &listener{}
	for _, body := range []string{"", "[]", `[{"id": 1}]`, `{"id": {"a": {"b": 1}}}`, `{"id"`, "\xff"} {
		if _, err := w.Read(core.Incoming{Body: []byte(body)}); err == nil {
			t.Errorf("%q is read", body)
		}
	}
}

func TestATakeWithoutABound(t *testing.T) {
	using := &core.ConnectorSpec{Name: "default", Kind: "db", Options: map[string]any{"driver": "postgres", "dsn": "postgres://u@127.0.0.1:1/his"}}
	for take, doubts := range map[string]int{
		"select id from t where st = '0'":                                     1,
		"select id, limits, topic from t":                                     1,
		"select id from t where st = '0' order by id LIMIT 200":               0,
		"select top 200 id from t":                                            0,
		"select id from t order by id fetch first 200 rows only":              0,
		"select id from (select id from t order by id) where rownum <= 200":   0,
		"select id from t order by id offset 0 rows fetch next 200 rows only": 0,
	} {
		l, err := Listen(core.ListenerSpec{Name: "rows", Kind: "table", Options: map[string]any{"take": take, "done": "delete from t where id = :id"}, Using: using})
		if err != nil || len(l.Doubts) != doubts {
			t.Errorf("%s: %v, %v", take, l.Doubts, err)
		}
	}
}

func TestRowsThatAreTooManyHaveACure(t *testing.T) {
	fault := &core.Fault{Class: core.InDoubt, Op: "db select", Err: wire.ErrTooLarge}
	if _, err := (&listener{}).Rows(core.Response{}, fault); err == nil || !strings.Contains(err.Error(), "take needs a limit") {
		t.Error(err)
	}
}

func TestWhatDoneTouched(t *testing.T) {
	for _, c := range []struct {
		done    string
		body    core.Value
		rows    int64
		counted bool
	}{
		{"update t set st = 1 where id = :id", core.Tree{{Name: "rows", Value: "0"}}, 0, true},
		{"delete from t where id = :id", core.Tree{{Name: "rows", Value: "2"}}, 2, true},
		{"MARK(id, out rows)", core.Tree{{Name: "rows", Value: "0"}}, 0, false},
		{"update t set st = 1 where id = :id", core.List{}, 0, false},
	} {
		if rows, counted := (&listener{done: c.done}).Touched(core.Response{Body: c.body}); rows != c.rows || counted != c.counted {
			t.Errorf("%s: %d %v", c.done, rows, counted)
		}
	}
}
