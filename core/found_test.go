package core

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// notLookedFor are numbers of things that many messages share, and of those who work there.
var notLookedFor = []string{
	"schedule_no", "slot_no", "lines.line_no", "stop_no",
	"writing.doctor_id_no", "review.pharmacist_id_no", // no patient's
}

// Every number in what is kept finds it: as its key, its lane, one of its numbers, or
// its patient.
func TestEveryNumberFindsItsMessage(t *testing.T) {
	looked := 0
	for _, tr := range Catalogue {
		if tr.Mode == Question || tr.Kind == LedgerPushed || tr.Kind == RefundQueried {
			continue // nothing is kept, or the books of a day
		}
		body := tr.Body()
		given := map[string]string{} // by value, the field
		fillTexts(reflect.ValueOf(body).Elem(), "", given)
		numbers, patient := FoundBy(body)
		for value, field := range given {
			last := field[strings.LastIndex(field, ".")+1:]
			if !strings.HasSuffix(last, "_no") && last != "no" && last != "order_id" && last != "bills" && last != "phone" && last != "number" && last != "person_id" ||
				slices.Contains(notLookedFor, field) {
				continue
			}
			looked++
			isPatient := last == "patient_no" || last == "person_id" || last == "id_no" || last == "phone"
			switch {
			case isPatient != slices.Contains(patient, value):
				t.Errorf("%s: %s is a patient's: %v, found as one: %v", tr.Kind, field, isPatient, !isPatient)
			case isPatient, slices.Contains(numbers, value), body.Key() == value, body.Lane() == value:
			default:
				t.Errorf("%s: nobody finds it by %s", tr.Kind, field)
			}
		}
	}
	if looked < 80 {
		t.Errorf("only %d numbers were looked at", looked)
	}
}

// fillTexts gives every text a value of its own.
func fillTexts(v reflect.Value, at string, given map[string]string) {
	switch v.Kind() {
	case reflect.String:
		value := fmt.Sprint("value ", len(given))
		v.SetString(value)
		given[value] = at
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillTexts(v.Elem(), at, given)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillTexts(v.Index(0), at, given)
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if !v.Type().Field(i).IsExported() || name == "" {
				continue
			}
			if at != "" {
				name = at + "." + name
			}
			fillTexts(v.Field(i), name, given)
		}
	}
}

func TestHowAPatientIsSpelled(t *testing.T) {
	for given, want := range map[string]string{
		"11010119900101003x":    "11010119900101003X",
		" 110101 19900101 0030": "110101199001010030",
		"+86 138-0013-8000":     "13800138000",
		"　P001 ":                "P001",
		" - ":                   "",
	} {
		if got := PatientTerm(given); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
	if got := Distinct([]string{"a", "", "b", "a", "c"}, "c", ""); !slices.Equal(got, []string{"a", "b"}) {
		t.Error(got)
	}
}
