package mapping

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// What is left of a person in a file, in any spelling, is found, and its field named.
func TestNobodyIsLeftInAFile(t *testing.T) {
	gb, err := gbText{}.Encode(nil, "欧阳娜娜")
	if err != nil {
		t.Fatal(err)
	}
	for text, field := range map[string]string{
		"<n>欧阳娜娜</n>":                                           "name",
		"<n>欧阳 娜娜</n>":                                          "name",
		"<n>欧 阳\u3000娜 娜</n>":                                   "name",
		"<n>" + string(gb) + "</n>":                             "name",
		hex.EncodeToString(gb):                                  "name",
		hex.EncodeToString([]byte("欧阳娜娜")):                      "name",
		base64.StdEncoding.EncodeToString([]byte("name=欧阳娜娜;")): "name",
		"tel 138-0013-8000":                                     "phone",
		"tel 138.0013.8000":                                     "phone",
		"tel +86 13800138000":                                   "phone",
		"１３８００１３８０００":                                           "phone",
		"330106 19900101 1235":                                  "id_no",
		"３３０１０６１９９００１０１１２３５":                                    "id_no",
		"住青石路12号":                                               "address",
		"欧阳女士,138-0013-8001, 1990-01-01\n":                      "",
		"138\n00138000":                                         "",
	} {
		r := &recorder{RecordOptions: RecordOptions{Charset: utf8Text{}}, made: plainMadeUp(), files: map[string][]byte{"answer.xml": []byte(text)}}
		r.made.add("name", "name", "欧阳娜娜")
		r.made.add("address", "text", "青石路12号")
		r.made.add("id_no", "number", "330106199001011235")
		r.made.add("phone", "number", "13800138000")
		switch err := r.clean(); {
		case field == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case field != "" && (err == nil || !strings.Contains(err.Error(), "answer.xml would still hold the ") || !strings.Contains(err.Error(), "("+field+")")):
			t.Errorf("%q: %v, want %s", text, err, field)
		case err != nil && (strings.Contains(err.Error(), "欧阳") || strings.Contains(err.Error(), "8000")):
			t.Errorf("the error names the person: %v", err)
		}
		r.Unmasked = true
		if err := r.clean(); err != nil {
			t.Errorf("unmasked: %v", err)
		}
	}
}

// What the folder itself writes of a person cannot be replaced.
func TestRecordRefusesAPersonInTheFolder(t *testing.T) {
	files := registering("{answer: = from_json(body)}")
	files["patient.yaml"].Data = []byte(strings.Replace(string(files["patient.yaml"].Data), "send: {", "send: {by: 王小五, ", 1))
	_, _, err := recordedOf(t, files, `{"code":"0","no":"H1"}`, nil)
	if err == nil || !strings.Contains(err.Error(), "would still hold the name of a person (name)") || strings.Contains(err.Error(), "王小五") {
		t.Error(err)
	}
}

// The usual ways to part a number are masked, not refused.
func TestPartedNumbersAreMasked(t *testing.T) {
	answer := `{"code":"0","no":"H1","a":"138-0013-8000","b":"` + gb11643[:6] + " " + gb11643[6:14] + " " + gb11643[14:] + `","c":"１３８００１３８０００","d":"王 小五","e":"` + hex.EncodeToString([]byte("王小五")) + `"}`
	_, out, err := recordedOf(t, registering("{answer: = from_json(body)}"), answer, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range out.Files {
		for _, real := range []string{"138-0013", gb11643[:6], "１３８", "小五", hex.EncodeToString([]byte("小五"))} {
			if strings.Contains(string(file), real) {
				t.Errorf("%s is still there:\n%s", real, file)
			}
		}
	}
}
