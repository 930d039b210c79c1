package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"hishub/core"
	"hishub/mocks/servers"
)

// spelled are the bytes of a text in the charsets that a HIS may use.
func spelled(text string) (all [][]byte) {
	all = append(all, []byte(text))
	for _, e := range []encoding.Encoding{
		simplifiedchinese.GBK, simplifiedchinese.GB18030, traditionalchinese.Big5,
		unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	} {
		if b, err := e.NewEncoder().Bytes([]byte(text)); err == nil {
			all = append(all, b)
		}
	}
	ascii := strings.Trim(strconv.QuoteToASCII(text), `"`)
	return append(all, []byte(ascii), []byte(strings.ToUpper(ascii)))
}

// found names a file of a folder that holds one of these texts, in any charset; ""
// if none does. There must be files.
func found(dir string, texts ...string) (where string, files int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		for _, text := range texts {
			for _, b := range spelled(text) {
				if bytes.Contains(data, b) {
					where = path + " holds " + text
				}
			}
		}
		return err
	})
	return where, files, err
}

// nobody DIR TEXT... checks that a folder has files, and none of these texts in them.
func nobody(ts *testscript.TestScript, _ bool, args []string) {
	where, files, err := found(ts.MkAbs(args[0]), args[1:]...)
	ts.Check(err)
	if where != "" || files == 0 {
		ts.Fatalf("%s, of %d files", where, files)
	}
}

// gb18030 FILE... are in UTF-8 in the script and in GB18030 from now on.
func gb18030(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(ts.ReadFile(file)))
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(file), b, 0o644))
	}
}

// What the hub delivered becomes cases that pass and in which nobody is named: a
// SOAP dialect in GB18030 with two steps, and a signed one with a session.
func TestRecordFromTheLedger(t *testing.T) {
	s := newSite(t, 0, servers.Redis(t))
	const name, id = "王小五测", "11010519491231002X"
	for i, hospital := range []string{"dongshan", "xihu"} {
		rx := written("RX77"+strconv.Itoa(i), "V77"+strconv.Itoa(i), 1)
		rx.PharmacistCode, rx.PatientName, rx.IDNo, rx.BirthDate = "P001", name, id, "1949-12-31"
		s.submit(map[string]any{"hospital": hospital, "kind": core.PrescriptionCreate, "submission": "my-" + rx.No, "message": rx})
	}
	s.submit(map[string]any{"hospital": "dongshan", "kind": core.PaymentSettle, "submission": "my-IH77", "message": core.Payment{
		OrderID: "IH77", VisitNo: "V770", PatientNo: "0000024772", PatientName: name, Bills: []string{"RX770"}, Amount: 2150,
		Channel: "wechat", ChannelNo: "wx77", PaidAt: time.Now().Truncate(time.Second),
	}})
	within(t, time.Minute, "three deliveries are told", func() bool { return len(s.events.of(core.EventDelivered)) == 3 })

	for _, hospital := range []string{"dongshan", "xihu"} {
		dir := filepath.Join(t.TempDir(), hospital)
		ok(t, os.CopyFS(dir, os.DirFS(filepath.Join(repository(t), "mapping", "hospitals", hospital))))
		var list struct {
			Messages []struct {
				ID   int64
				Kind core.Kind
			}
		}
		ok(t, json.Unmarshal([]byte(s.hishub("message", "list", "--hospital", hospital, "--json")), &list))
		for _, m := range list.Messages {
			attempts := []string{"1"}
			if m.Kind == core.PaymentSettle {
				attempts = []string{"1", "2"} // before the confirmation and it
			}
			for _, attempt := range attempts {
				said := s.hishub("hospital", "record", dir, "--message", strconv.FormatInt(m.ID, 10), "--attempt", attempt, "--name", "recorded-"+attempt)
				if !strings.Contains(said, "masked: patient_name, 1 time\n") || strings.Contains(said, name) || strings.Contains(said, id) {
					t.Errorf("%s: it says\n%s", m.Kind, said)
				}
				recorded := filepath.Join(dir, "cases", string(m.Kind)+".recorded-"+attempt)
				where, files, err := found(recorded, name, id, "1949-12-31", "19491231", "xihu-test")
				if err != nil || where != "" || files != 5 {
					t.Errorf("%s: %d files, %s, %v", recorded, files, where, err)
				}
			}
		}
		s.hishub("hospital", "check", dir)
	}
}
