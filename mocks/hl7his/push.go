package hl7his

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"hishub/mocks/books"
)

// Push is something that the hospital tells or asks the platform.
type Push struct {
	Kind string `json:"kind"` // dispensed, refundApply, stopClinic; raw
	// Fields by name; what is missing is filled from the books where they have it.
	// README.md has the names of each kind.
	Fields map[string]string `json:"fields"`
	// Accept and Application are MSH-15 and MSH-16 (AL, NE, ER, SU): enhanced mode.
	Accept      string `json:"accept"`
	Application string `json:"application"`
	// Text of a raw push, GB18030 like all.
	Text string `json:"text"`
	// Hub instead of the option's.
	Hub string `json:"hub"`
}

// Told is one message with which the platform answered.
type Told struct {
	Code    string `json:"code"`    // AA, AE, AR, CA, CE, CR
	Of      string `json:"of"`      // MSA-2, the message that it is about
	Message string `json:"message"` // MSA-3
	Text    string `json:"text"`
}

// kinds of push: the message type, and the names of its fields.
var kinds = map[string]struct {
	event  string
	fields []string
}{
	"dispensed":   {"RDS^O13", []string{"recipeNo", "hisNo", "returned", "operator", "time"}},
	"refundApply": {"DFT^P03", []string{"hisRefundNo", "orderNo", "channelNo", "amount", "reversal", "reason", "cashier", "time"}},
	"stopClinic":  {"SIU^S15", []string{"stopNo", "scheduleNo", "department", "doctor", "substitute", "date", "reason"}},
}

type pushes struct {
	his    *HIS
	ctx    context.Context // ends with the hospital
	cancel context.CancelFunc

	mu     sync.Mutex
	hub    string
	serial int
}

func newPushes(h *HIS) *pushes {
	ctx, cancel := context.WithCancel(context.Background())
	return &pushes{his: h, ctx: ctx, cancel: cancel, hub: h.options.Hub}
}

// SetHub tells where the platform listens, for those who know it only later.
func (h *HIS) SetHub(address string) {
	h.pushes.mu.Lock()
	defer h.pushes.mu.Unlock()
	h.pushes.hub = address
}

// Push tells the platform, and gives what it answered: one message, or two in
// enhanced mode.
func (h *HIS) Push(ctx context.Context, p Push) ([]Told, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	defer context.AfterFunc(h.pushes.ctx, cancel)()
	return h.pushes.send(ctx, p)
}

func (p *pushes) send(ctx context.Context, push Push) ([]Told, error) {
	p.mu.Lock()
	hub := cmp.Or(push.Hub, p.hub)
	p.serial++
	id := fmt.Sprintf("HP%s%04d", time.Now().In(books.Zone).Format("0102150405"), p.serial%10000)
	p.mu.Unlock()
	if hub == "" {
		return nil, errors.New("push: say where the platform listens, as hub")
	}
	text := push.Text
	if push.Kind != "raw" {
		var err error
		if text, err = p.message(&push, id); err != nil {
			return nil, err
		}
	}
	told, err := exchange(ctx, hub, framed(text), answersOf(push))
	code := "no answer"
	if len(told) > 0 {
		code = told[len(told)-1].Code
	}
	p.book(push, code)
	return told, err
}

// answersOf is how many messages the platform owes.
func answersOf(p Push) int {
	always := func(s string) int {
		if s == "AL" {
			return 1
		}
		return 0
	}
	if p.Accept == "" && p.Application == "" {
		return 1
	}
	return always(p.Accept) + always(p.Application)
}

func (p *pushes) message(push *Push, id string) (string, error) {
	k, ok := kinds[push.Kind]
	if !ok {
		return "", fmt.Errorf("push: kind %q is none of dispensed, refundApply, stopClinic, raw", push.Kind)
	}
	f := map[string]string{}
	for name, value := range push.Fields {
		if !slices.Contains(k.fields, name) {
			return "", fmt.Errorf("push: %s has no field %q; it has %s", push.Kind, name, strings.Join(k.fields, ", "))
		}
		f[name] = value
	}
	now := time.Now().In(books.Zone).Format(hl7Time)
	or := func(name, value string) string {
		f[name] = cmp.Or(f[name], value)
		return f[name]
	}
	or("time", now)
	kind, event, _ := strings.Cut(k.event, "^")
	all := []string{`MSH|^~\&` + line("", "HIS", "HEPING", "IH", "", now, "", components(kind, event), id, "P", "2.4", "", "", push.Accept, push.Application, "", "GB 18030-2000")}
	patient := line("PID", "1", "", repetitions(components(books.Known.PatientNo, "", "", "", "PatientNO"), components(books.Known.IDNo, "", "", "", "IDCard")), "", books.Known.Name)
	switch push.Kind {
	case "dispensed":
		rx, _ := p.his.books.Prescription(f["recipeNo"])
		state := "CM"
		if f["returned"] == "1" {
			state = "CA"
		}
		all = append(all, patient, line("ORC", "RE", f["recipeNo"]+"-1", or("hisNo", rx.HisNo), f["recipeNo"], state))
		for i, l := range rx.Lines {
			all = append(all, line("RXD", fmt.Sprint(i+1), components(l.Code, l.Name), f["time"], l.Qty, l.Unit, "", "", "", "", or("operator", "Y009")))
		}
		if len(rx.Lines) == 0 {
			all = append(all, line("RXD", "1", "", f["time"], "", "", "", "", "", "", or("operator", "Y009")))
		}
	case "refundApply":
		kind := "CD"
		if f["reversal"] == "1" {
			kind = "AJ"
		}
		if f["hisRefundNo"] == "" {
			f["hisRefundNo"] = p.his.books.Number("W")
		}
		all = append(all, line("EVN", "P03", f["time"]), patient, line("FT1", "1", f["hisRefundNo"], f["channelNo"], f["time"], "", kind, "", f["reason"], "", "", "-"+f["amount"],
			"", "", "", "", "", "", "", "", or("cashier", "C001"), "", "", components(f["orderNo"])))
	case "stopClinic":
		all = append(all, line("SCH", f["scheduleNo"], or("stopNo", "TZ"+f["scheduleNo"]), "", "", "", components("STOP", f["reason"]), "", "", "", "", components("", "", "", f["date"])),
			line("RGS", "1"), line("AIL", "1", "", f["department"]), line("AIP", "1", "", f["doctor"], components("DOCTOR")))
		if f["substitute"] != "" {
			all = append(all, line("AIP", "2", "", f["substitute"], components("SUBSTITUTE")))
		}
	}
	push.Fields = f
	return strings.Join(all, "\r") + "\r", nil
}

// exchange sends a frame and hears so many; fewer if the platform hangs up.
func exchange(ctx context.Context, hub string, frame []byte, answers int) (told []Told, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", hub)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(frame); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	for range answers {
		b, err := heard(r)
		if err != nil {
			return told, fmt.Errorf("push: hear the platform: %w", err)
		}
		text, _ := decode(b)
		m, err := parse(text)
		if err != nil {
			return told, fmt.Errorf("push: read the answer: %w", err)
		}
		msa := m.first("MSA")
		told = append(told, Told{Code: msa.text(1), Of: msa.text(2), Message: msa.text(3), Text: text})
	}
	return told, nil
}

// book writes down what the platform took: money that a cashier gave back is in
// the hospital's books once the platform said AA.
func (p *pushes) book(push Push, code string) {
	ledger, f, effect := p.his.books, push.Fields, "told: "+code
	key := cmp.Or(f["recipeNo"], f["hisRefundNo"], f["stopNo"], f["scheduleNo"])
	if push.Kind == "refundApply" && code == "AA" && f["reversal"] != "1" && f["hisRefundNo"] != "" {
		fen, err := books.ParseYuan(f["amount"])
		if _, there := ledger.RefundOf(f["hisRefundNo"]); err == nil && !there {
			r := ledger.Refund(books.Refund{No: f["hisRefundNo"], HisNo: f["hisRefundNo"], Order: f["orderNo"], Operator: cmp.Or(f["cashier"], "C001"), AmountFen: fen}, "")
			effect += ", " + r.Journal()
		}
	}
	ledger.Note(push.Kind, key, effect, "")
}

func (p *pushes) patterns() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"POST /push": func(w http.ResponseWriter, r *http.Request) {
		var push Push
		d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
		d.DisallowUnknownFields()
		err := d.Decode(&push)
		var told []Told
		if err == nil {
			told, err = p.his.Push(r.Context(), push)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		answer := map[string]any{"answers": told}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			answer["error"] = err.Error()
		}
		_ = json.NewEncoder(w).Encode(answer)
	}}
}
