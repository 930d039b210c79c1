package api

import (
	"fmt"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/inbound"
)

func TestWhatCameInIsShownMasked(t *testing.T) {
	w := newWorld(t)
	arrive := func(hospital string, body core.Body, kind core.Kind) int64 {
		done := &core.Resolution{State: core.ResultDone}
		got, err := w.store.Arrive(t.Context(), inbound.Fact{Hospital: hospital, Kind: kind, Body: body}, []byte("content"), done)
		must(t, err)
		must(t, w.store.Said(t.Context(), got.ID, got.Number, []byte("<p>0000024772</p>"), []byte("<ok/>")))
		return got.ID
	}
	mine := arrive("dongshan", &core.ReportNotice{ReportNo: "R1", PatientNo: "0000024772", Title: "张三测试的血常规"}, core.ReportReady)
	again := arrive("dongshan", &core.ReportNotice{ReportNo: "R1", PatientNo: "0000024772"}, core.ReportReady)
	foreign := arrive("xihu", &core.ClinicStop{StopNo: "S1", DepartmentCode: "D01", Date: "2026-01-06"}, core.ClinicStopped)
	if again != mine {
		t.Errorf("the same is kept as %d and %d", mine, again)
	}

	reader := w.key(Submitter, "dongshan")
	var list struct{ Inbound []Inbound }
	w.do(reader, "GET", "/v1/inbound", nil).into(t, &list)
	if len(list.Inbound) != 1 || list.Inbound[0].ID != mine || list.Inbound[0].Times != 2 || list.Inbound[0].State != "done" {
		t.Errorf("listed: %+v", list)
	}
	for _, path := range []string{"/v1/inbound?hospital=xihu", fmt.Sprintf("/v1/inbound/%d", foreign), "/v1/inbound/999999"} {
		if a := w.do(reader, "GET", path, nil); a.status != 404 {
			t.Errorf("%s is answered HTTP %d", path, a.status)
		}
	}
	one := fmt.Sprintf("/v1/inbound/%d", mine)
	a := w.do(reader, "GET", one, nil)
	var detail InboundDetail
	a.into(t, &detail)
	if len(detail.Exchanges) != 2 || detail.Exchanges[0].Number != 2 || detail.Exchanges[1].Response.Text != "<ok/>" || !detail.Masked {
		t.Errorf("shown: %+v", detail)
	}
	if p := w.do(reader, "GET", one, nil, "Hishub-Purpose: curious"); p.status != 403 {
		t.Errorf("a submitter sees all of it: HTTP %d", p.status)
	}
	full := w.do(w.key(Operator, "dongshan"), "GET", one, nil, "Hishub-Purpose: the patient asks")
	if full.status != 200 || !strings.Contains(full.text, "0000024772") {
		t.Errorf("an operator with a purpose got HTTP %d %s", full.status, full.text)
	}
}
