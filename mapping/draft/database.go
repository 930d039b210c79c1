package draft

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hishub/core"
)

// catalogues are what each database is asked about itself: tables and views with
// their columns, parameters of procedures, and foreign keys. Each row has the
// columns t, kind (table, view, procedure), c, typ, words, tw, need, auto, def, dir.
var catalogues = map[string][]string{
	"postgres": {
		`select c.table_name as t, case when v.table_type = 'VIEW' then 'view' else 'table' end as kind, c.column_name as c, c.data_type as typ,
 coalesce(col_description(format('%I.%I', c.table_schema, c.table_name)::regclass, c.ordinal_position), '') as words,
 coalesce(obj_description(format('%I.%I', c.table_schema, c.table_name)::regclass), '') as tw,
 case when c.is_nullable = 'NO' then '1' else '' end as need, case when c.is_identity = 'YES' or c.column_default like 'nextval(%' then '1' else '' end as auto,
 case when c.column_default is not null then '1' else '' end as def, '' as dir
 from information_schema.columns c join information_schema.tables v on v.table_schema = c.table_schema and v.table_name = c.table_name
 where c.table_schema = current_schema() order by c.table_name, c.ordinal_position`,
		`select r.routine_name as t, 'procedure' as kind, coalesce(p.parameter_name, '') as c, p.data_type as typ, '' as words, '' as tw, '1' as need, '' as auto, '' as def, p.parameter_mode as dir
 from information_schema.routines r join information_schema.parameters p on p.specific_name = r.specific_name and p.specific_schema = r.specific_schema
 where r.routine_schema = current_schema() and r.routine_type = 'PROCEDURE' order by r.routine_name, p.ordinal_position`,
		`select k.table_name as t, 'key' as kind, k.column_name as c, u.table_name as typ, '' as words, '' as tw, '' as need, '' as auto, '' as def, '' as dir
 from information_schema.referential_constraints r join information_schema.key_column_usage k on k.constraint_name = r.constraint_name and k.constraint_schema = r.constraint_schema
 join information_schema.table_constraints u on u.constraint_name = r.unique_constraint_name and u.constraint_schema = r.unique_constraint_schema where k.table_schema = current_schema()`,
	},
	"mysql": {
		`select c.table_name as t, case when v.table_type = 'VIEW' then 'view' else 'table' end as kind, c.column_name as c, c.column_type as typ, c.column_comment as words, v.table_comment as tw,
 case when c.is_nullable = 'NO' then '1' else '' end as need, case when c.extra like '%auto_increment%' then '1' else '' end as auto, case when c.column_default is not null then '1' else '' end as def, '' as dir
 from information_schema.columns c join information_schema.tables v on v.table_schema = c.table_schema and v.table_name = c.table_name
 where c.table_schema = database() order by c.table_name, c.ordinal_position`,
		`select specific_name as t, 'procedure' as kind, parameter_name as c, dtd_identifier as typ, '' as words, '' as tw, '1' as need, '' as auto, '' as def, parameter_mode as dir
 from information_schema.parameters where specific_schema = database() and routine_type = 'PROCEDURE' order by specific_name, ordinal_position`,
		`select table_name as t, 'key' as kind, column_name as c, referenced_table_name as typ, '' as words, '' as tw, '' as need, '' as auto, '' as def, '' as dir
 from information_schema.key_column_usage where table_schema = database() and referenced_table_name is not null`,
	},
	"sqlserver": {
		`select o.name as t, case when o.type = 'V' then 'view' else 'table' end as kind, c.name as c, y.name as typ, cast(coalesce(x.value, '') as nvarchar(400)) as words, '' as tw,
 case when c.is_nullable = 0 then '1' else '' end as need, case when c.is_identity = 1 then '1' else '' end as auto, case when c.default_object_id <> 0 then '1' else '' end as def, '' as dir
 from sys.objects o join sys.columns c on c.object_id = o.object_id join sys.types y on y.user_type_id = c.user_type_id
 left join sys.extended_properties x on x.major_id = c.object_id and x.minor_id = c.column_id and x.name = 'MS_Description'
 where o.type in ('U', 'V') and o.is_ms_shipped = 0 order by o.name, c.column_id`,
		`select o.name as t, 'procedure' as kind, p.name as c, y.name as typ, '' as words, '' as tw, '1' as need, '' as auto, '' as def, case when p.is_output = 1 then 'OUT' else 'IN' end as dir
 from sys.procedures o join sys.parameters p on p.object_id = o.object_id join sys.types y on y.user_type_id = p.user_type_id where o.is_ms_shipped = 0 order by o.name, p.parameter_id`,
	},
	"oracle": {
		`select c.table_name as "t", case when v.view_name is null then 'table' else 'view' end as "kind", c.column_name as "c", c.data_type as "typ", m.comments as "words", tc.comments as "tw",
 case when c.nullable = 'N' then '1' else '' end as "need", '' as "auto", case when c.data_default is not null then '1' else '' end as "def", '' as "dir"
 from user_tab_columns c left join user_views v on v.view_name = c.table_name left join user_col_comments m on m.table_name = c.table_name and m.column_name = c.column_name
 left join user_tab_comments tc on tc.table_name = c.table_name order by c.table_name, c.column_id`,
		`select object_name as "t", 'procedure' as "kind", argument_name as "c", data_type as "typ", '' as "words", '' as "tw", '1' as "need", '' as "auto", '' as "def", in_out as "dir"
 from user_arguments where package_name is null and argument_name is not null order by object_name, position`,
	},
}

// ReadDatabase asks a live database what it has, through the connector that the
// folder will use. Nothing is changed in it. Tested against PostgreSQL and MariaDB;
// the questions to SQL Server and Oracle are written after their documentation.
func ReadDatabase(ctx context.Context, c core.Connector, driver string) (Database, error) {
	d := description{driver: driver}
	byName := map[string]*table{}
	for _, statement := range catalogues[driver] {
		r, err := c.Call(ctx, core.Request{Operation: strings.ReplaceAll(statement, "\n", ""), Body: core.Tree{}})
		if err != nil {
			return Database{}, fmt.Errorf("ask the database what it has: %w", err)
		}
		rows, _ := r.Body.(core.List)
		for _, row := range rows {
			if row, ok := row.(core.Tree); ok {
				d.row(row, byName)
			}
		}
	}
	if len(d.tables) == 0 {
		return Database{}, errors.New("the database shows no tables, views or procedures; are the schema and the rights of the user right?")
	}
	return Database{d}, nil
}

func (d *description) row(row core.Tree, byName map[string]*table) {
	say := func(name string) string {
		for _, f := range row {
			if strings.EqualFold(f.Name, name) {
				s, _ := core.Text(f.Value)
				return s
			}
		}
		return ""
	}
	kind, name := say("kind"), say("t")
	t := byName[kind+" "+name]
	if kind == "key" {
		if t := byName["table "+name]; t != nil {
			t.refers = append(t.refers, reference{say("c"), say("typ")})
		}
		return
	}
	if t == nil {
		t = &table{name: name, words: say("tw"), place: "database", view: kind == "view", procedure: kind == "procedure"}
		byName[kind+" "+name] = t
		d.tables = append(d.tables, t)
	}
	dir := strings.ToUpper(say("dir"))
	t.take(column{
		name: say("c"), typ: strings.ToLower(say("typ")), words: say("words"), required: say("need") != "", auto: say("auto") != "", otherwise: say("def") != "",
		in: strings.Contains(dir, "IN"), out: strings.Contains(dir, "OUT"),
	})
}
