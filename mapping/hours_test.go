package mapping

import (
	"reflect"
	"strings"
	"testing"

	"hishub/core"
)

func TestWorkingHours(t *testing.T) {
	all := [7]bool{true, true, true, true, true, true, true}
	for text, want := range map[string]core.Hours{
		"Mon-Sat 07:00-18:30":       {Days: [7]bool{false, true, true, true, true, true, true}, Window: core.Window{Start: 420, End: 1110}},
		"Sat-Mon 20:00-03:00":       {Days: [7]bool{true, true, false, false, false, false, true}, Window: core.Window{Start: 1200, End: 180}},
		"Mon,Wed-Thu 08:00 - 12:00": {Days: [7]bool{false, true, false, true, true, false, false}, Window: core.Window{Start: 480, End: 720}},
		" 08:00-24:00":              {Days: all, Window: core.Window{Start: 480, End: 1440}},
	} {
		if got, ok := readDays(text); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "Mon", "Mon-Sat", "Mo 08:00-12:00", "Mon- 08:00-12:00", "Mon 8:00-12:00", "Mon 08:00-08:00", "Mon 24:00-08:00",
		"Mon 08:00-25:00", "Mon 08:00", "mon 08:00-12:00", "Mon, Tue 08:00-12:00", "Mon 08:00-12:00 13:00-14:00"} {
		if got, ok := readDays(text); ok {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func TestWorkingHoursOfAFolder(t *testing.T) {
	const hours = "maintenance: [\"23:50-00:20\"]\nworking_hours: [\"Mon-Sat 07:00-18:30\", \"Sun 08:00-12:00\"]\n"
	files := edited(t, "dongshan", "hospital.yaml", "maintenance: [\"23:50-00:20\"]\n", hours)
	files["payment.yaml"].Data = []byte(strings.Replace(string(files["payment.yaml"].Data), "payment.settle:\n", "payment.settle:\n  any_hour: true\n", 1))
	folder, err := Load(files, Options{Env: environment, Open: open, OpenChannel: openChannel})
	if err != nil {
		t.Fatal(err)
	}
	d := folder.Dialect
	if len(d.Open) != 2 || !d.Operations[core.PaymentSettle].AnyHour || d.Operations[core.PaymentStatus].AnyHour {
		t.Errorf("%+v, %v", d.Open, d.AtAnyHour())
	}
}
