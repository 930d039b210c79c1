package db

import (
	"context"
	"strings"
)

// sure asks the database, once for each key, whether it is the column that it generates:
// it tells only the last number that it made, not for which column. A name that a
// trigger makes would go into the lines as the number of the row.
func (c *Connector) sure(ctx context.Context, on session, s *script) error {
	if c.engine.generator == nil {
		return nil
	}
	for _, st := range s.statements {
		for _, g := range st.gives {
			if _, known := c.generators.Load(g); known || st.finds {
				continue
			}
			got, err := c.step(ctx, on, c.engine.generator(g), true)
			if err != nil {
				return err
			}
			if len(got.values) == 0 {
				return &refusal{meaning: unfit, code: "another key", public: g.String() + " is not the column that the database numbers by itself (auto_increment, identity); take it with .select from the row that has it"}
			}
			c.generators.Store(g, nil)
		}
	}
	return nil
}

// generatorMySQL goes by the catalogue, in which a table without a schema is one of
// the connection's database.
func generatorMySQL(g generated) statement {
	schema, table := (*string)(nil), g.table
	if at := strings.LastIndexByte(table, '.'); at >= 0 {
		before := table[:at]
		schema, table = &before, table[at+1:]
	}
	return statement{
		sql: "select 1 from information_schema.columns where table_schema = coalesce(?, database()) and table_name = ?" +
			" and column_name = ? and extra like '%auto_increment%'",
		args: []*string{schema, &table, &g.column},
	}
}

// generatorSQLServer refuses what a table is known not to have; of a view or synonym
// the server does not say.
func generatorSQLServer(g generated) statement {
	table := "[" + strings.ReplaceAll(g.table, ".", "].[") + "]"
	return statement{
		sql:  "select 1 where isnull(columnproperty(object_id(@p1, 'U'), @p2, 'IsIdentity'), 1) = 1",
		args: []*string{&table, &g.column},
	}
}
