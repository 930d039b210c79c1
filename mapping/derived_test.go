package mapping

import (
	"strings"
	"testing"

	"hishub/core"
)

// What stands where .xsi:type names another type is that type's to check; without it
// the names are those of the type that the description has.
func TestTypesThatAFolderNames(t *testing.T) {
	known := map[string][]core.Parameter{"QueryFee": {{Name: "clinicCode", Children: []core.Parameter{{Name: "code"}}}, {Name: "orderNo"}}}
	files := folder(t, "dongshan")
	text := string(files["payment.yaml"].Data)
	for cell, mistake := range map[string]string{
		`{code: = payment.visit_no}`:                             "",
		`{".xsi:type": Herbal, days: "7"}`:                       "",
		`{code: "1", days: "7"}`:                                 `QueryFee.clinicCode has no parameter "days"`,
		`[{code: "1"}, {".xsi:type": Herbal, d: "7"}, {e: "7"}]`: `QueryFee.clinicCode has no parameter "e"`,
	} {
		files["payment.yaml"].Data = []byte(strings.Replace(text, "send: {clinicCode: = payment.visit_no, orderNo: = payment.order_id}", "send: {clinicCode: "+cell+", orderNo: = payment.order_id}", 1))
		if string(files["payment.yaml"].Data) == text {
			t.Fatal("the folder has changed")
		}
		_, err := Load(files, Options{Env: environment, OpenChannel: openChannel, Open: func(spec core.ConnectorSpec) (core.Connector, error) {
			all := map[string][]core.Parameter{}
			for name, ps := range theirWSDL {
				all[name] = ps
			}
			all["QueryFee"] = known["QueryFee"]
			return paper{all}, nil
		}})
		switch {
		case mistake == "" && err != nil:
			t.Errorf("%s: %v", cell, err)
		case mistake != "" && (err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), mistake)):
			t.Errorf("%s: %v", cell, err)
		}
	}
}
