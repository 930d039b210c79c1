package main

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/redis"
	"hishub/mapping"
	"hishub/mocks/servers"
)

// TestAPrescriptionInOpenMRS: a database that was made for no hub takes
// prescriptions from a folder alone. Its rows refer to one another by keys that the
// database makes, and to people and drugs that must be looked up.
func TestAPrescriptionInOpenMRS(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "mapping", "testdata", "good", "openmrs")
	dsn := servers.MariaDB(t)
	db, err := sql.Open("mysql", dsn)
	ok(t, err)
	t.Cleanup(func() { ok(t, db.Close()) })
	db.SetMaxOpenConns(1)
	schema, err := os.ReadFile(filepath.Join(dir, "openmrs.sql"))
	ok(t, err)
	for _, s := range strings.Split(strings.TrimSuffix(string(schema), ";\n"), ";\n") {
		_, err := db.ExecContext(t.Context(), s)
		ok(t, err)
	}
	folder, err := mapping.Load(os.DirFS(dir), mapping.Options{
		Env: func(name string) (string, bool) { return dsn, name == "OPENMRS_DSN" }, Open: connectors.Open,
	})
	ok(t, err)
	for _, c := range folder.RunCases() {
		if len(c.Differences) > 0 {
			t.Error(c.Name, c.Differences)
		}
	}
	client := redis.Embedded()
	t.Cleanup(func() { _ = client.Close() })
	hospital, err := openHospital(folder.Dialect, 1, redis.NewSessions(client), nil)
	ok(t, err)
	t.Cleanup(func() { _ = hospital.Close() })
	r := &rig{Hospital: hospital}

	at := time.Date(2026, 1, 5, 14, 56, 1, 0, time.FixedZone("", 8*3600))
	prescription := func(no, patient string) *core.Prescription {
		item := func(code string) core.Item {
			return core.Item{Code: code, Name: "测试药品", Qty: "12", Unit: "盒", UnitPrice: "1.7917", Amount: 2150, Dose: "0.50", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3}
		}
		return &core.Prescription{
			No: no, VisitNo: "V0000345678", PatientNo: patient, PatientName: "张三测试", Sex: "male", BirthDate: "1990-01-01", DepartmentCode: "0102", DoctorCode: "00731", PharmacistCode: "00815", Category: "western",
			Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "急性上呼吸道感染"}}, Items: []core.Item{item("001207"), item("003311")}, Amount: 4300, WrittenAt: at, ValidUntil: at.Add(72 * time.Hour),
		}
	}
	told := r.deliver(t, core.PrescriptionCreate, prescription("RX1", "0000024772"))
	if told.State != delivery.Delivered || told.Receipt == nil || told.Receipt.HisNo != "1" {
		t.Fatalf("%s (%s) %+v", told.State, told.Words, told.Receipt)
	}
	if again := r.deliver(t, core.PrescriptionCreate, prescription("RX1", "0000024772")); again.State != delivery.Delivered || again.Receipt == nil || again.Receipt.HisNo != "1" {
		t.Errorf("again: %s (%s) %+v", again.State, again.Words, again.Receipt)
	}
	if stranger := r.deliver(t, core.PrescriptionCreate, prescription("RX2", "0000099999")); stranger.State != delivery.Parked || !strings.Contains(stranger.Words, "encounter.patient_id") {
		t.Errorf("a patient that OpenMRS does not know: %s (%s)", stranger.State, stranger.Words)
	}
	var lines, encounters, seed, stopped int
	count := func() {
		t.Helper()
		ok(t, db.QueryRowContext(context.Background(), "select count(*), count(distinct encounter_id), (select property_value from global_property), count(date_stopped) from orders join drug_order using (order_id) where patient_id = 1 and creator = 7 and accession_number = 'RX1'").
			Scan(&lines, &encounters, &seed, &stopped))
	}
	if count(); lines != 2 || encounters != 1 || seed != 43 || stopped != 0 {
		t.Errorf("%d lines in %d encounters, %d numbers given, %d stopped", lines, encounters, seed-41, stopped)
	}
	for range 2 {
		if void := r.deliver(t, core.PrescriptionVoid, &core.PrescriptionVoiding{No: "RX1", VisitNo: "V0000345678", PatientNo: "0000024772", Reason: "停药", OperatorCode: "00731", VoidedAt: at}); void.State != delivery.Delivered {
			t.Errorf("voided: %s (%s)", void.State, void.Words)
		}
	}
	if count(); stopped != 2 {
		t.Errorf("%d lines stopped", stopped)
	}
	if state := r.asked(t, core.PrescriptionStatus, &core.PrescriptionQuery{No: "RX1"}); !strings.Contains(state, `"stage":"voided"`) {
		t.Error(state)
	}
}
