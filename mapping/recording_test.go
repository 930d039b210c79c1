package mapping

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core"
)

// recorded records a registration whose answer is that one.
func recordedOf(t *testing.T, files fstest.MapFS, answer string, change func(*RecordOptions)) (*Folder, *Recording, error) {
	t.Helper()
	f := load(t, files)
	call := &f.Dialect.Operations[core.PatientRegister].Steps[0].Call
	in := core.Input{Body: &core.Patient{
		PersonID: "P7", Name: "王小五", Sex: "female", BirthDate: "1986-07-21", IDType: "id_card", IDNo: gb11643, Phone: "13800138000", Address: "青石路12号", RegisteredAt: stamp.Time,
	}, Kind: core.PatientRegister, Stamp: stamp}
	r, _ := paper{}.Read(core.Request{}, []byte(answer))
	e := ExplainAnswer(call.Mapper, in, r)
	o := RecordOptions{Kind: core.PatientRegister, Charset: utf8Text{}}
	if change != nil {
		change(&o)
	}
	out, err := f.Record([]Exchanged{{Call: call, In: in, Answer: []byte(answer), Verdict: e.Verdict, Values: e.Values}}, o)
	return f, out, err
}

// registering is a folder that sends everything that a patient is.
func registering(read string) fstest.MapFS {
	return fstest.MapFS{
		"hospital.yaml": {Data: []byte(`grammar: 1
hospital: sealed
name: 封测试医院
connectors: {default: {rest: {base: "http://127.0.0.1:1"}}}
envelopes:
  default:
    write: {send: {$json: = body}}
    read: ` + read + `
    outcome: {ok: answer.code == "0", rejected: answer.code == "1", message: = answer.words}
`)},
		"patient.yaml": {Data: []byte(`patient.register:
  call: POST /register
  repeat_safe: true
  send: {name: = patient.name, born: '= replace(patient.birth_date, "-", "")', id: = patient.id_no, phone: = patient.phone, seal: = md5(patient.name)}
  capture: {his_no: = answer.no, card_no: = answer.card}
`)},
	}
}

func TestRecordHasMadeUpPeople(t *testing.T) {
	answer := `{"code":"0","words":"王小五已建档","no":"H1","card":"K00012345","born":"1986/07/21","echo":"\u738b\u5c0f\u4e94","id":"` + gb11643 + `","phone":"13800138000","other":"13911112222"}`
	files := registering("{answer: = from_json(body)}")
	f, out, err := recordedOf(t, files, answer, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := ""
	for name, data := range out.Files {
		whole += name + "\n" + string(data) + "\n"
		files["cases/.new/"+name] = &fstest.MapFile{Data: data}
	}
	for _, real := range []string{"王小五", `\u738b`, gb11643, "13800138000", "13911112222", "07-21", "0721", "07/21", "青石", "K00012345"} {
		if strings.Contains(whole, real) {
			t.Errorf("%s is still there:\n%s", real, whole)
		}
	}
	for _, kept := range []string{"P7", "H1", "测试甲", `"code":"0"`, "1986-01-01", "19860101", "已建档"} {
		if !strings.Contains(whole, kept) {
			t.Errorf("%s is not there:\n%s", kept, whole)
		}
	}
	// The request is what the mapping writes for the made-up person, not a text in
	// which something was replaced.
	if seal := md5Of("王小五"); strings.Contains(whole, seal) {
		t.Error("the digest of the real name is there")
	}
	if out.Masked["name"] != 1 || out.Masked["captured.card_no"] != 1 || out.Masked["numbers in the answer"] != 1 || out.Masked["person_id"] != 0 {
		t.Errorf("masked %v", out.Masked)
	}
	if r := f.RunCase("patient.register.new", "cases/.new"); !r.Passed() {
		t.Errorf("the case does not pass: %s", r.Differences)
	}
	// It can fail, too.
	files["cases/.new/expect.yaml"].Data = bytes.Replace(out.Files["expect.yaml"], []byte("已建档"), []byte("已建档案"), 1)
	if r := f.RunCase("patient.register.new", "cases/.new"); r.Passed() {
		t.Error("a case with other words passes")
	}
}

func TestRecordRefusesWhatIsSealed(t *testing.T) {
	sealed := func(inner string) string { return `{"d":"` + base64.StdEncoding.EncodeToString([]byte(inner)) + `"}` }
	read := "{answer: = from_json(from_base64(from_json(body).d))}"
	for name, c := range map[string]struct{ inner, want string }{
		"the name":     {`{"code":"0","no":"H1","who":"王小五"}`, "sealed and holds the name"},
		"some number":  {`{"code":"0","no":"H1","who":"13911112222"}`, "sealed and holds a number"},
		"nobody":       {`{"code":"0","no":"H1"}`, ""},
		"only refused": {`{"code":"1","words":"不行"}`, ""},
	} {
		_, _, err := recordedOf(t, registering(read), sealed(c.inner), nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "王小五") || strings.Contains(err.Error(), "139")) {
			t.Errorf("%s: the error names the person: %v", name, err)
		}
	}
	if _, _, err := recordedOf(t, registering(read), sealed(`{"code":"0","no":"H1","who":"王小五"}`), func(o *RecordOptions) { o.Unmasked = true }); err != nil {
		t.Errorf("unmasked: %v", err)
	}
}

// A signature over the people would not hold any more; that is said, not recorded.
func TestRecordRefusesWhatIsSigned(t *testing.T) {
	files := registering("{answer: = from_json(body)}")
	files["hospital.yaml"].Data = bytes.Replace(files["hospital.yaml"].Data, []byte("outcome: {"), []byte("outcome: {verify: answer.sign == md5(answer.who), "), 1)
	_, _, err := recordedOf(t, files, `{"code":"0","who":"王小五","sign":"`+md5Of("王小五")+`"}`, nil)
	if err == nil || !strings.Contains(err.Error(), "signed or sealed") {
		t.Error(err)
	}
}

func TestRecordRefusesSecrets(t *testing.T) {
	_, _, err := recordedOf(t, registering("{answer: = from_json(body)}"), `{"code":"0","no":"H1","key":"hunter2hunter2"}`, func(o *RecordOptions) { o.Secrets = []string{"hunter2hunter2"} })
	if err == nil || !strings.Contains(err.Error(), "would hold a secret") || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
