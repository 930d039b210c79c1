package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hishub/connectors"
	"hishub/core"
	"hishub/mapping"
	"hishub/mapping/draft"
	"hishub/mocks/servers"
)

// drafted drafts a folder, writes it, and gives its open points; anything else that
// its check finds is an error of the draft.
func drafted(t *testing.T, c *hospitalNew) (open []mapping.Mistake) {
	t.Helper()
	c.Dir, c.ID, c.Name = filepath.Join(t.TempDir(), "new"), "new", "新院"
	sources, err := c.sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := draft.New(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.write(f); err != nil {
		t.Fatal(err)
	}
	for _, m := range checkFolder(c.Dir, os.DirFS(c.Dir)).Mistakes {
		switch m := mapping.Mistake(m); {
		case m.Unfilled():
			open = append(open, m)
		case !m.Warning:
			t.Errorf("%s\n%s", m, f.Files[m.File])
		}
	}
	return open
}

func TestEveryWSDLHereCanBeDrafted(t *testing.T) {
	var all []string
	for _, pattern := range []string{"../../connectors/soap/testdata/*.wsdl", "../../connectors/soap/testdata/lab/*.wsdl", "../../mapping/hospitals/*/*.wsdl"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		all = append(all, found...)
	}
	for _, name := range all {
		t.Run(name, func(t *testing.T) {
			if open := drafted(t, &hospitalNew{WSDL: []string{name}}); len(open) == 0 {
				t.Error("nothing is open, which cannot be")
			}
		})
	}
	t.Run("two at once", func(t *testing.T) {
		drafted(t, &hospitalNew{WSDL: []string{all[0], all[len(all)-1]}})
	})
	t.Run("with everything else", func(t *testing.T) {
		at := "../../mapping/draft/testdata/"
		drafted(t, &hospitalNew{
			WSDL: []string{"../../mapping/hospitals/beicheng/his.wsdl"}, OpenAPI: []string{at + "openapi/clinic30.yaml"}, DB: []string{at + "sql/mysql.sql"},
			Sample: []string{at + "samples/prescribe.request.hl7", at + "samples/prescribe.response.hl7"},
		})
	})
}

func TestTwoHundredOperationsStayReadable(t *testing.T) {
	var types, messages, port, binding strings.Builder
	for i := range 200 {
		name := fmt.Sprintf("Method%d", i)
		fmt.Fprintf(&types, `<xs:element name="%s"><xs:complexType><xs:sequence>`, name)
		for j := range 30 {
			fmt.Fprintf(&types, `<xs:element name="parameter%d" type="xs:string"/>`, j)
		}
		types.WriteString(`</xs:sequence></xs:complexType></xs:element>`)
		fmt.Fprintf(&messages, `<message name="%s"><part name="p" element="t:%s"/></message>`, name, name)
		fmt.Fprintf(&port, `<operation name="%s"><input message="t:%s"/></operation>`, name, name)
		fmt.Fprintf(&binding, `<operation name="%s"><s:operation soapAction=""/><input><s:body use="literal"/></input></operation>`, name)
	}
	wsdl := filepath.Join(t.TempDir(), "many.wsdl")
	text := `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:t="urn:t" targetNamespace="urn:t" xmlns:xs="http://www.w3.org/2001/XMLSchema"><types><xs:schema targetNamespace="urn:t">` +
		types.String() + `</xs:schema></types>` + messages.String() + `<portType name="P">` + port.String() + `</portType><binding name="B" type="t:P"><s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>` + binding.String() + `</binding></definitions>`
	if err := os.WriteFile(wsdl, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &hospitalNew{WSDL: []string{wsdl}}
	drafted(t, c)
	pages, _ := filepath.Glob(filepath.Join(c.Dir, "offered*.yaml"))
	if len(pages) < 3 {
		t.Errorf("200 methods are in %d files", len(pages))
	}
	for _, p := range pages {
		if info, err := os.Stat(p); err != nil || info.Size() > 80<<10 {
			t.Errorf("%s: %v, too large to read", p, info.Size())
		}
	}
}

// A database tells of itself what a dump would: the folder of the dump and that of
// the live one are known by the same words.
func TestALiveDatabaseIsDrafted(t *testing.T) {
	for _, c := range []struct{ name, dsn, schema string }{
		{"postgres", servers.Postgres(t), `
create table hlw_cf (id bigserial primary key, cfh varchar(32) not null unique, brid varchar(20) not null, xm varchar(32) not null, zje numeric(12,2) not null, czbz char(1) not null default '0');
comment on column hlw_cf.xm is '患者姓名'; comment on table hlw_cf is '处方主表';
create table hlw_cf_mx (id bigserial primary key, cfh varchar(32) not null references hlw_cf (cfh), xh int not null, ypdm varchar(20) not null, je numeric(12,2) not null);
create view v_hlw_dept as select 'a' as ksdm, 'b' as ksmc;
create procedure p_tf(in p_tkdh text, inout o_code text) language sql as $$ select '1' $$`},
		{"mysql", servers.MariaDB(t), `
create table hlw_cf (id bigint auto_increment primary key, cfh varchar(32) not null unique, brid varchar(20) not null, xm varchar(32) not null comment '患者姓名', zje decimal(12,2) not null, czbz char(1) not null default '0') comment '处方主表';
create table hlw_cf_mx (id bigint auto_increment primary key, cfh varchar(32) not null, xh int not null, ypdm varchar(20) not null, je decimal(12,2) not null, foreign key (cfh) references hlw_cf (cfh));
create view v_hlw_dept as select 'a' as ksdm, 'b' as ksmc;
create procedure p_tf(in p_tkdh varchar(32), out o_code varchar(8)) set o_code = '1'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			connector, err := connectors.Open(core.ConnectorSpec{Kind: "db", Options: map[string]any{"driver": c.name, "dsn": c.dsn}})
			if err != nil {
				t.Fatal(err)
			}
			defer connector.Close()
			for statement := range strings.SplitSeq(c.schema, ";") {
				if _, err := connector.Call(t.Context(), core.Request{Operation: strings.ReplaceAll(strings.TrimSpace(statement), "\n", " "), Body: core.Tree{}}); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			new := &hospitalNew{DB: []string{c.dsn}}
			drafted(t, new)
			page, err := os.ReadFile(filepath.Join(new.Dir, "prescription.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range []string{"hlw_cf:", "xm: = prescription.patient_name", "# id: TODO", "hlw_cf_mx:", "xh: = n", "ypdm: = item.code", "inquire: prescription.status"} {
				if !strings.Contains(string(page), line) {
					t.Errorf("no line %s in\n%s", line, page)
				}
			}
			if _, err := os.Stat(filepath.Join(new.Dir, "dictionary.yaml")); err != nil {
				t.Error("the view of departments was not recognised")
			}
			sample, _ := os.ReadFile(filepath.Join(new.Dir, "env.sample"))
			if strings.Contains(string(sample), c.dsn) {
				t.Error("env.sample has the DSN")
			}
		})
	}
}
