package db

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/connectors/option"
	"hishub/connectors/wire"
)

func engines(t testing.TB) map[string]engine {
	t.Helper()
	s := option.New(nil)
	es := map[string]engine{
		"postgres":  postgres(s, "postgres://u:p@127.0.0.1:1/x", "", wire.Options{}),
		"mysql":     mysqlEngine(s, "u:p@tcp(127.0.0.1:1)/x", "", wire.Options{}),
		"sqlserver": sqlserver(s, "sqlserver://u:p@127.0.0.1:1?database=x", "", wire.Options{}),
		"oracle":    oracle(s, "oracle://u:p@127.0.0.1:1/x", "", wire.Options{}),
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return es
}

func TestNamesInStatements(t *testing.T) {
	for _, c := range []struct {
		driver, statement, sql string
		names                  []string
	}{
		{"postgres", "select a from t where b = :b and c = :c_1 or b = :b;\n", "select a from t where b = $1 and c = $2 or b = $1", []string{"b", "c_1"}},
		{"mysql", "select a from t where b = :b and c = :c_1 or b = :b", "select a from t where b = ? and c = ? or b = ?", []string{"b", "c_1", "b"}},
		{"postgres", "select ':a', \":b\", :c::date, a[1:2], ':d''e' -- :f\n, :g /* :h /* :i */ :j */", "select ':a', \":b\", $1::date, a[1:2], ':d''e' -- :f\n, $2 /* :h /* :i */ :j */", []string{"c", "g"}},
		{"postgres", `select E'\':a', 'x\', :b, $$ :c $$, $t$ :d $$ $t$, x$1`, `select E'\':a', 'x\', $1, $$ :c $$, $t$ :d $$ $t$, x$1`, []string{"b"}},
		{"postgres", "select :姓名, :a:b", "select $1, $2$3", []string{"姓名", "a", "b"}},
		{"mysql", "select '\\':a', `:b`, @x := :c # :d\n, :e -- :f", "select '\\':a', `:b`, @x := ? # :d\n, ? -- :f", []string{"c", "e"}},
		{"mysql", "select /* /* :a */ :b", "select /* /* :a */ ?", []string{"b"}},
		{"postgres", "select time '12:30:00', '{\"a\":1}', a ? 'b'", "select time '12:30:00', '{\"a\":1}', a ? 'b'", nil},
		{"sqlserver", "select [a]]:b], :c /* :h /* :i */ :j */, N':d'", "select [a]]:b], @p1 /* :h /* :i */ :j */, N':d'", []string{"c"}},
		{"oracle", "select q'[it's :a]', nq'!:b!', :c, q'|:d|' from t where x = :c and y=:e", "select q'[it's :a]', nq'!:b!', :1, q'|:d|' from t where x = :2 and y=:3", []string{"c", "c", "e"}},
	} {
		e := engines(t)[c.driver]
		got, err := e.parseNames(c.statement)
		if err != nil {
			t.Errorf("%s: %v", c.statement, err)
			continue
		}
		if diff := cmp.Diff(c.sql, got.sql) + cmp.Diff(c.names, got.names); diff != "" {
			t.Errorf("%s\n%s", c.statement, diff)
		}
	}
}

func TestStatementsRefused(t *testing.T) {
	for _, c := range []struct{ driver, statement, want string }{
		{"postgres", "", "empty"},
		{"postgres", " ; ", "empty"},
		{"postgres", "select 1; drop table t", "more behind the semicolon"},
		{"mysql", "select 1; drop table t", "more behind the semicolon"},
		{"postgres", "select 'a", "a quote ' is not closed"},
		{"postgres", "select $a$ x", "a dollar quote is not closed"},
		{"mysql", "select /* x", "a comment is not closed"},
		{"mysql", "select ? from t", "write parameters as :name"},
		{"mysql", "select '?' from t", "not even in a string"},
		{"oracle", "select q'[a' from t", "a q quote is not closed"},
		{"sqlserver", "select [a from t", "is not closed"},
	} {
		e := engines(t)[c.driver]
		if _, err := e.parseNames(c.statement); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, must say %q", c.statement, err, c.want)
		}
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add("select ':a', :b::date -- :c\n, E'\\'' $t$ :d $t$ /* :e */")
	f.Add("select `:a`, \"\\\":b\", @x := :c # :d")
	es := engines(f)
	f.Fuzz(func(t *testing.T, statement string) {
		if len(statement) > 4096 {
			return
		}
		for _, driver := range []string{"postgres", "mysql", "sqlserver", "oracle"} {
			e := es[driver]
			n, err := e.parseNames(statement)
			if err != nil {
				continue
			}
			// What is no name stays as it was: putting the names back gives the statement.
			back, rest := "", n.sql
			for i, name := range n.names {
				before, after, ok := strings.Cut(rest, e.placeholder(i+1))
				if e.numbered && strings.Count(statement, "$") > 0 || !ok {
					break // a $1 of its own; the next check is enough
				}
				back, rest = back+before+":"+name, after
			}
			want := strings.TrimRight(strings.TrimSpace(statement), "; \t\r\n")
			if driver == "mysql" && back+rest != want {
				t.Errorf("%s: %q became %q with %q", driver, want, n.sql, n.names)
			}
			// A statement without names is not touched a second time.
			if len(n.names) == 0 && n.sql != want {
				t.Errorf("%s: %q became %q", driver, want, n.sql)
			}
		}
	})
}
