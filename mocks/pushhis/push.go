package pushhis

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hishub/mocks/books"
)

// Push is something that the hospital tells or asks the platform.
type Push struct {
	Kind string
	// Fields by wire name; what is missing is filled from the books where they
	// have it. README.md has the names of each kind.
	Fields map[string]string
	// Repeat sends it so often, one after the other; Concurrent so often at once,
	// each time with its repeats. 0 is once.
	Repeat, Concurrent int
	// Forge signs with a key that is not the hospital's.
	Forge bool
	// Hub instead of the option's.
	Hub string
}

// Told is how the platform answered one request.
type Told struct {
	Result   string `json:"result"` // SUCCESS, ERROR, UNKNOWN; "" without an answer
	Message  string `json:"message"`
	Tries    int    `json:"tries"` // how often it was sent until the answer was no longer UNKNOWN
	Status   int    `json:"status"`
	Document string `json:"document"` // the answer's document
	Error    string `json:"error,omitempty"`
}

const platformNamespace = "http://lianhu.example/platform"

// kind of push: its method at the platform and the fields in the order of the wire.
type kind struct {
	name, method string
	fields       []string
}

var kinds = []kind{
	{"refundApply", "refundApply", []string{"tradeNo", "payNo", "refundAmount", "hisId", "patientCard", "is_reverse", "cashier_id", "reason", "realName"}},
	{"refundQuery", "queryRefundStatus", []string{"tradeNo", "hisId"}},
	{"stopClinic", "stopClinic", []string{"stopId", "scheduleId", "departmentCode", "doctorCode", "clinicDate", "timeFlag", "substituteDoctor", "reason"}},
	{"dispensed", "recipeDispensed", []string{"recipeNo", "prescriptionNo", "returned", "operator", "dispenseTime"}},
	{"reviewed", "recipeReviewed", []string{"recipeNo", "prescriptionNo", "reviewState", "pharmacist", "reason", "reviewTime"}},
	{"reportReady", "reportReady", []string{"reportId", "patientId", "clinicNo", "reportTitle", "reportType", "reportTime"}},
	{"newBill", "newBill", []string{"prescriptionNo", "clinicNo", "patientId", "feeType", "createTime"}},
	{"checkAccount", "checkAccount", []string{"checkDate"}},
	{"ledger", "uploadLedger", []string{"checkDate", "totalCount", "detail"}},
}

// Sign is the hospital's rule: the fields that are not empty, without realName
// and the signature, by the byte order of their names, then the key; MD5 in
// upper case.
func Sign(fields map[string]string, key string) string {
	var parts []string
	for name, value := range fields {
		if value != "" && name != "realName" && name != "sign" {
			parts = append(parts, name+"="+value)
		}
	}
	slices.Sort(parts)
	sum := md5.Sum([]byte(strings.Join(append(parts, "key="+key), "&")))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// pushes goes out to the platform.
type pushes struct {
	his    *HIS
	client *http.Client
	ctx    context.Context // ends with the hospital
	cancel context.CancelFunc

	mu  sync.Mutex
	hub string
}

func newPushes(h *HIS) *pushes {
	ctx, cancel := context.WithCancel(context.Background())
	return &pushes{his: h, client: &http.Client{Timeout: 30 * time.Second}, ctx: ctx, cancel: cancel, hub: h.options.Hub}
}

func (p *pushes) close() { p.cancel() }

// SetHub tells where the platform listens, for those who know it only later.
func (h *HIS) SetHub(url string) {
	h.pushes.mu.Lock()
	defer h.pushes.mu.Unlock()
	h.pushes.hub = url
}

// Push tells the platform and gives its answers, one for each request that was
// asked for; it returns when none of them is UNKNOWN any more.
func (h *HIS) Push(ctx context.Context, push Push) ([]Told, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.pushes.ctx, cancel)()
	return h.pushes.send(ctx, push)
}

func (p *pushes) send(ctx context.Context, push Push) ([]Told, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == push.Kind })
	if i < 0 {
		return nil, fmt.Errorf("push: kind %q is none of %s", push.Kind, names())
	}
	k := kinds[i]
	p.mu.Lock()
	hub := cmp.Or(push.Hub, p.hub)
	p.mu.Unlock()
	if hub == "" {
		return nil, errors.New("push: say where the platform listens, as hub")
	}
	fields, err := p.filled(k, push.Fields)
	if err != nil {
		return nil, err
	}
	body := p.request(k, fields, push.Forge)
	concurrent, repeat := max(1, push.Concurrent), max(1, push.Repeat)
	told := make([]Told, concurrent*repeat)
	var all sync.WaitGroup
	for c := range concurrent {
		all.Go(func() {
			for r := range repeat {
				told[c*repeat+r] = p.untilKnown(ctx, hub, body)
			}
		})
	}
	all.Wait()
	for _, t := range told {
		p.book(k, fields, t)
	}
	return told, nil
}

func names() string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return strings.Join(all, ", ")
}

// filled takes from the books what was not given.
func (p *pushes) filled(k kind, given map[string]string) (map[string]string, error) {
	fields := map[string]string{"hospitalId": hospital}
	for name, value := range given {
		if !slices.Contains(k.fields, name) && name != "hospitalId" {
			return nil, fmt.Errorf("push: %s has no field %q; it has %s", k.name, name, strings.Join(k.fields, ", "))
		}
		fields[name] = value
	}
	or := func(name, value string) { fields[name] = cmp.Or(fields[name], value) }
	ledger, now := p.his.books, time.Now().In(books.Zone)
	at := now.Format(books.TimeLayout)
	switch k.name {
	case "refundApply":
		if fields["hisId"] == "" {
			fields["hisId"] = ledger.Number("W")
		}
		or("is_reverse", "0")
		or("cashier_id", "C001")
		or("realName", books.Known.Name)
	case "stopClinic":
		s, known := ledger.SessionOf(fields["scheduleId"])
		if known {
			ledger.StopSession(s.No)
			or("departmentCode", s.DepartmentCode)
			or("doctorCode", s.DoctorCode)
			or("clinicDate", s.Date)
			or("timeFlag", timeFlags[s.Period])
		}
		or("stopId", "TZ"+fields["scheduleId"])
	case "dispensed", "reviewed":
		rx, _ := ledger.Prescription(fields["recipeNo"])
		or("prescriptionNo", rx.HisNo)
		if k.name == "dispensed" {
			or("returned", "0")
			or("operator", "Y009")
			or("dispenseTime", at)
		} else {
			or("reviewState", "pass")
			or("pharmacist", "00815")
			or("reviewTime", at)
		}
	case "reportReady":
		for _, r := range books.Reports {
			if r.No == fields["reportId"] {
				or("patientId", r.PatientNo)
				or("clinicNo", r.VisitNo)
				or("reportTitle", r.Title)
				or("reportType", reportTypes[r.Kind])
			}
		}
		or("reportTime", at)
	case "newBill":
		or("feeType", "药费")
		or("createTime", at)
	case "checkAccount":
		or("checkDate", now.AddDate(0, 0, -1).Format(time.DateOnly))
	case "ledger":
		or("checkDate", now.AddDate(0, 0, -1).Format(time.DateOnly))
		rows := p.his.ledger(fields["checkDate"], "")
		or("totalCount", strconv.Itoa(len(rows)))
		or("detail", dayDocument(rows))
	}
	return fields, nil
}

// dayDocument is a day of the ledger as it is sent: a document that travels as
// text, so that its signature is over every letter.
func dayDocument(rows []books.Row) string {
	var d document
	d.open("rows")
	for _, r := range rows {
		channel, reverse := "0", "0"
		if r.Refund {
			channel = "1"
		}
		if r.Reversal {
			reverse = "1"
		}
		d.open("row")
		d.WriteString(fields("channel", channel, "tradeNo", r.Order, "refundNo", r.RefundNo, "hisId", r.HisNo, "payNo", r.ChannelNo, "payType", r.Channel,
			"cashier_id", r.Operator, "amount", books.Yuan(r.AmountFen), "payedTime", r.Time, "is_reverse", reverse, "prescriptionNo", strings.Join(r.Bills, ",")))
		d.close("row")
	}
	d.close("rows")
	return d.String()
}

// hospital is the id that the platform gave.
const hospital = "LH0001"

func (p *pushes) request(k kind, fields map[string]string, forge bool) func(hub string) (*http.Request, error) {
	key := p.his.options.Key
	if forge {
		key += "-forged"
	}
	var inner document
	inner.open("request")
	for _, name := range append([]string{"hospitalId"}, k.fields...) {
		inner.put(name, fields[name])
	}
	inner.put("sign", Sign(fields, key))
	inner.close("request")
	body := wrapped(platformNamespace, k.method, parameter, inner.String())
	return func(hub string) (*http.Request, error) {
		q, err := http.NewRequest(http.MethodPost, hub, bytes.NewReader(body))
		if err == nil {
			q.Header.Set("Content-Type", contentType)
			q.Header["SOAPAction"] = []string{`""`}
		}
		return q, err
	}
}

// untilKnown sends the same request until the answer says what happened.
func (p *pushes) untilKnown(ctx context.Context, hub string, request func(string) (*http.Request, error)) Told {
	for try := 1; ; try++ {
		t := p.once(ctx, hub, request)
		t.Tries = try
		if t.Result == "SUCCESS" || t.Result == "ERROR" || try >= p.his.options.Tries {
			return t
		}
		select {
		case <-time.After(p.his.options.Again):
		case <-ctx.Done():
			return t
		}
	}
}

func (p *pushes) once(ctx context.Context, hub string, request func(string) (*http.Request, error)) Told {
	q, err := request(hub)
	if err != nil {
		return Told{Error: err.Error()}
	}
	answer, err := p.client.Do(q.WithContext(ctx))
	if err != nil {
		return Told{Error: err.Error()}
	}
	defer answer.Body.Close()
	t := Told{Status: answer.StatusCode}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 4<<20))
	if err != nil {
		t.Error = err.Error()
		return t
	}
	envelope, err := parseXML(body)
	if err != nil {
		t.Error = "the answer is no XML"
		return t
	}
	if f := envelope.child("Body", "Fault"); f != nil {
		t.Error = f.value("faultstring")
		return t
	}
	if method := envelope.child("Body"); method != nil && len(method.Kids) == 1 {
		t.Document = method.Kids[0].value("return")
	}
	inner, err := parseXML([]byte(t.Document))
	if err != nil {
		t.Error = "the answer has no document in return"
		return t
	}
	t.Result, t.Message = inner.value("result"), inner.value("message")
	return t
}

// book writes down what the platform took: money that a cashier gave back is in
// the hospital's books once the platform said SUCCESS.
func (p *pushes) book(k kind, fields map[string]string, t Told) {
	ledger, key := p.his.books, fields[k.fields[0]]
	effect := "told: " + cmp.Or(t.Result, "no answer")
	if k.name == "refundApply" && t.Result == "SUCCESS" && fields["is_reverse"] != "1" {
		key = fields["hisId"]
		fen, err := books.ParseYuan(fields["refundAmount"])
		if _, there := ledger.RefundOf(key); err == nil && !there {
			r := ledger.Refund(books.Refund{No: key, HisNo: key, Order: fields["tradeNo"], Operator: operator, AmountFen: fen}, "")
			effect += ", " + r.Journal()
		}
	}
	ledger.Note(k.method, key, effect, "")
}

// serve is POST /push of the control port.
func (p *pushes) serve(w http.ResponseWriter, r *http.Request) {
	push, err := readPush(r)
	var told []Told
	if err == nil {
		told, err = p.his.Push(r.Context(), push)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"answers": told})
}

// readPush takes the fields of the request beside the words of the control port.
func readPush(r *http.Request) (Push, error) {
	var words struct {
		Kind               string
		Repeat, Concurrent int
		Forge              bool
		Hub                string
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(body, &words)
	}
	if err != nil {
		return Push{}, fmt.Errorf("read body: %w", err)
	}
	if words.Repeat > 1000 || words.Concurrent > 1000 {
		return Push{}, errors.New("push: at most 1000 repeats and 1000 at once")
	}
	all := map[string]any{}
	_ = json.Unmarshal(body, &all)
	push := Push{Kind: words.Kind, Fields: map[string]string{}, Repeat: words.Repeat, Concurrent: words.Concurrent, Forge: words.Forge, Hub: words.Hub}
	for name, value := range all {
		if slices.Contains([]string{"kind", "repeat", "concurrent", "forge", "hub"}, name) {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return Push{}, fmt.Errorf("push: field %q must be text", name)
		}
		push.Fields[name] = text
	}
	return push, nil
}
