package regulator

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

const jsonType = "application/json;charset=UTF-8"

// reply is an answer before it is written, and what the journal says of it.
type reply struct {
	Code     string           `json:"msgCode"`
	Msg      string           `json:"msg"`
	UploadID string           `json:"uploadId,omitempty"`
	Rows     []map[string]any `json:"rows,omitempty"`
	state    map[string]any
	effect   string
}

func (a reply) answer() fault.Answer {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	var err error
	if a.state != nil {
		err = e.Encode(a.state)
	} else {
		err = e.Encode(a)
	}
	if err != nil {
		panic(err) // our own structs
	}
	return fault.Answer{Type: jsonType, Body: b.Bytes()}
}

func refuse(code, words string) reply {
	return reply{Code: code, Msg: words, effect: "refused: " + words}
}

// row is what can stand in a list, whatever the list is about.
type row struct {
	RecipeID, OrganID, DoctorNo, DoctorName, DoctorCertID, DoctorSign string
	AuditDoctorNo, AuditDoctor, AuditDoctorSign, UpdateTime           string
	PatientName, PatientNumber, Sex, BirthDay                         string
	BussID, ConsultStartDate, MainDieaseDescribe, AllergyFlag         string
	IcdCode, DateIn, EndDate, CancelFlag, CancelReason                string
	TotalFee                                                          json.Number
	DeliveryType, DeliveryFirm, DeliveryNo, VerificationTime          string
	OrderList                                                         []struct{ Drcode, Drname, Packunit, DosageTotal string }
}

// sign is SM3 in upper hex over the sorted headers, the body and the key.
func (p *Platform) sign(h http.Header, body []byte) string {
	text := "appId=" + h.Get("appId") + "&nonce=" + h.Get("nonce") + "&timestamp=" + h.Get("timestamp") + "&body=" + string(body) + "&key=" + p.options.Key
	sum := sm3.Sum([]byte(text))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// serve is POST /api/v1/upload/{name}.
func (p *Platform) serve(w http.ResponseWriter, r *http.Request) {
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return // the caller broke off; nothing was understood
	}
	name := r.PathValue("name")
	var rows []row
	var question struct{ UploadID, RecipeID string }
	if name == "queryUpload" {
		err = json.Unmarshal(body, &question)
	} else {
		err = json.Unmarshal(body, &rows)
	}
	var wrong *reply
	switch {
	case r.Header.Get("appId") != p.options.App || r.Header.Get("sign") != p.sign(r.Header, body):
		wrong = &reply{Code: "401", Msg: "签名错误", effect: "refused: 签名错误"}
	case err != nil || name != "queryUpload" && len(rows) == 0:
		wrong = &reply{Code: "400", Msg: "数据格式错误", effect: "refused: 数据格式错误"}
	}
	key := question.RecipeID
	for _, r := range rows {
		key = strings.TrimPrefix(key+","+r.RecipeID, ",")
	}
	note := func(effect string, kind fault.Kind) { p.books.Note(name, key, effect, string(kind)) }
	p.script.Play(w, r, fault.Exchange{
		Operation: name, Key: key, Latency: p.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			var a reply
			switch {
			case wrong != nil:
				a = *wrong
			case name == "uploadRecipeIndicators":
				a = p.upload(rows)
			case name == "uploadRecipeCancel":
				a = each(rows, p.cancel)
			case name == "uploadRecipeVerificationIndicators":
				a = each(rows, p.verification)
			case name == "queryUpload" && p.options.Inquiry == "none":
				a = refuse("403", "未开通")
			case name == "queryUpload":
				a = p.query(question.UploadID, question.RecipeID)
			default:
				a = refuse("400", "接口不存在")
			}
			note(a.effect, kind)
			return a.answer()
		},
		Busy:   func() fault.Answer { return reply{Code: "503", Msg: "系统繁忙"}.answer() },
		Reject: func() fault.Answer { return refuse("400", fault.RejectWords).answer() },
		Crash: func() fault.Answer {
			return fault.Answer{Status: 500, Type: jsonType, Body: []byte(`{"error":"Internal Server Error"}`)}
		},
		Recode: func(b []byte) []byte {
			recoded, err := simplifiedchinese.GB18030.NewEncoder().Bytes(b)
			if err != nil {
				return b
			}
			return recoded
		},
		Idle: fault.Idle(note),
	})
}

// upload that was taken and is checked later.
type upload struct {
	id     string
	rows   []row
	checks int // still to be asked for before the verdict
	words  map[string]string
	judged bool
}

// uploads by their number and, of each prescription, the newest.
type uploads struct {
	sync.Mutex
	byID, byRecipe map[string]*upload
}

// upload takes rows; what they hold is checked when they are asked about.
func (p *Platform) upload(rows []row) reply {
	for _, r := range rows {
		if r.RecipeID == "" {
			return refuse("400", "recipeID 不能为空")
		}
	}
	p.uploads.Lock()
	defer p.uploads.Unlock()
	u := &upload{id: p.books.Number("U"), rows: rows, checks: p.options.Checks, words: map[string]string{}}
	p.uploads.byID[u.id] = u
	effect := string(books.Done)
	for _, r := range rows {
		if p.uploads.byRecipe[r.RecipeID] != nil {
			effect = string(books.Already)
		}
		p.uploads.byRecipe[r.RecipeID] = u
	}
	if u.checks < 0 {
		p.judge(u)
		return p.verdicts(u, effect)
	}
	return reply{Code: "202", Msg: "已接收，校验中", UploadID: u.id, effect: effect}
}

func (p *Platform) verdicts(u *upload, effect string) reply {
	a := reply{Code: "200", UploadID: u.id, effect: effect}
	for _, r := range u.rows {
		out := map[string]any{"recipeID": r.RecipeID, "code": "0", "msg": u.words[r.RecipeID]}
		if u.words[r.RecipeID] != "" {
			out["code"] = "1"
		}
		if held, ok := p.books.Prescription(r.RecipeID); ok {
			out["archiveNo"], out["totalFee"] = held.HisNo, json.Number(books.Yuan(held.AmountFen))
		}
		a.Rows = append(a.Rows, out)
	}
	return a
}

// judge stores what is complete and finds words for the rest.
func (p *Platform) judge(u *upload) {
	u.judged = true
	for _, r := range u.rows {
		words := r.wrong()
		fen, err := books.ParseYuan(r.TotalFee.String())
		if words == "" && err != nil {
			words = "totalFee 格式错误"
		}
		if words == "" {
			rx := books.Prescription{No: r.RecipeID, VisitNo: r.BussID, PatientID: r.PatientNumber, PatientName: r.PatientName, AmountFen: fen}
			for i, o := range r.OrderList {
				rx.Lines = append(rx.Lines, books.Line{No: i + 1, Code: o.Drcode, Name: o.Drname, Unit: o.Packunit, Qty: o.DosageTotal})
			}
			rx.Lines[0].AmountFen = fen // rows carry no price of a line
			result := p.books.Save(rx)
			words = map[books.Effect]string{books.Refused: result.Words, books.Conflict: "重复上传内容不一致"}[result.Effect]
		}
		u.words[r.RecipeID] = words
	}
}

// wrong names what a regulator misses.
func (r row) wrong() string {
	for _, f := range []struct{ name, value string }{
		{"organID", r.OrganID}, {"doctorNo", r.DoctorNo}, {"doctorName", r.DoctorName}, {"doctorCertID", r.DoctorCertID}, {"doctorSign", r.DoctorSign},
		{"auditDoctorNo", r.AuditDoctorNo}, {"auditDoctor", r.AuditDoctor}, {"auditDoctorSign", r.AuditDoctorSign}, {"patientName", r.PatientName},
		{"bussID", r.BussID}, {"consultStartDate", r.ConsultStartDate}, {"mainDieaseDescribe", r.MainDieaseDescribe}, {"allergyFlag", r.AllergyFlag},
		{"icdCode", r.IcdCode}, {"datein", r.DateIn}, {"endDate", r.EndDate},
	} {
		if f.value == "" {
			return f.name + " 不能为空"
		}
	}
	if at, err := time.ParseInLocation(books.TimeLayout, r.UpdateTime, books.Zone); err != nil || at.Format(books.TimeLayout) < r.DateIn {
		return "审方时间早于开方时间"
	}
	if len(r.OrderList) == 0 {
		return "orderList 不能为空"
	}
	return ""
}

// query tells what became of an upload: state 0 none, 1 being checked, 2 stored, 3 refused.
func (p *Platform) query(id, recipe string) reply {
	p.uploads.Lock()
	defer p.uploads.Unlock()
	u := p.uploads.byID[id]
	if u == nil {
		u = p.uploads.byRecipe[recipe]
	}
	out := map[string]any{"msgCode": "200", "msg": "", "recipeID": recipe, "state": "0"}
	switch {
	case u == nil:
	case !u.judged && u.checks > 0:
		u.checks--
		out["state"], out["uploadId"] = "1", u.id
	default:
		if !u.judged {
			p.judge(u)
		}
		out["uploadId"], out["state"], out["msg"] = u.id, "2", u.words[recipe]
		if u.words[recipe] != "" {
			out["state"] = "3"
		} else if held, ok := p.books.Prescription(recipe); ok {
			out["archiveNo"], out["totalFee"], out["cancelFlag"] = held.HisNo, json.Number(books.Yuan(held.AmountFen)), "0"
			if held.State == books.Voided {
				out["cancelFlag"] = "1"
			}
		}
	}
	return reply{state: out, effect: "asked"}
}

// each gives every row its verdict; the answer as a whole is 200 all the same.
func each(rows []row, act func(row) books.Result) reply {
	a := reply{Code: "200", effect: string(books.Done)}
	for _, r := range rows {
		result := act(r)
		out := map[string]any{"recipeID": r.RecipeID, "code": "0", "msg": ""}
		if result.Effect == books.Refused || result.Effect == books.Conflict {
			out["code"], out["msg"] = "1", result.Words
		}
		a.effect = result.Journal()
		a.Rows = append(a.Rows, out)
	}
	return a
}

func (p *Platform) cancel(r row) books.Result {
	if r.CancelFlag != "1" || r.CancelReason == "" {
		return books.Result{Effect: books.Refused, Words: "cancelReason 不能为空"}
	}
	return p.books.Void(r.RecipeID, r.CancelReason)
}

func (p *Platform) verification(r row) books.Result {
	if r.BussID == "" || r.DeliveryType == "" || r.VerificationTime == "" {
		return books.Result{Effect: books.Refused, Words: "verificationTime 不能为空"}
	}
	return p.books.Dispense(books.Dispense{Prescription: r.RecipeID, State: strings.TrimPrefix(r.BussID, r.RecipeID+"-"), Carrier: r.DeliveryFirm, TrackingNo: r.DeliveryNo})
}
