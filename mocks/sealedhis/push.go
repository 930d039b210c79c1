package sealedhis

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"hishub/mocks/books"
)

// Window is a refund that a cashier gave at the window, told to the platform as
// transaction 9101. Fields have their wire names; histkh is made when empty.
type Window struct {
	Fields map[string]string
	// Forge signs with a key that is not the hospital's.
	Forge bool
	// Hub instead of the option's.
	Hub string
}

// Told is how the platform answered.
type Told struct {
	Code   string `json:"code"` // infcode: 0 done, -1 refused, 1 not decided yet; "" without an answer
	Words  string `json:"words"`
	Status int    `json:"status"`
	// Result is the platform's, unsealed; empty if there is none.
	Result string `json:"result"`
	Error  string `json:"error,omitempty"`
}

// pushes goes out to the platform.
type pushes struct {
	his    *HIS
	client *http.Client
	ctx    context.Context // ends with the hospital
	close  context.CancelFunc

	mu  sync.Mutex
	hub string
}

func newPushes(h *HIS) *pushes {
	ctx, cancel := context.WithCancel(context.Background())
	return &pushes{his: h, client: &http.Client{Timeout: 30 * time.Second}, ctx: ctx, close: cancel, hub: h.options.Hub}
}

// SetHub tells where the platform listens, for those who know it only later.
func (h *HIS) SetHub(url string) {
	h.pushes.mu.Lock()
	defer h.pushes.mu.Unlock()
	h.pushes.hub = url
}

// Push tells the platform of a refund, once, and gives its answer. What it took is
// booked under histkh, once, unless it is a reversal.
func (h *HIS) Push(ctx context.Context, w Window) (Told, error) {
	p := h.pushes
	p.mu.Lock()
	hub := cmp.Or(w.Hub, p.hub)
	p.mu.Unlock()
	if hub == "" {
		return Told{}, errors.New("push: say where the platform listens, as hub")
	}
	data := fields{"czbz": "0", "czy": "C001", "tksj": time.Now().In(books.Zone).Format(books.TimeLayout)}
	for name, value := range w.Fields {
		data[name] = value
	}
	if data["histkh"] == "" {
		data["histkh"] = h.books.Number("W")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	t := p.tell(ctx, hub, data, w.Forge)
	effect := "told: " + cmp.Or(t.Code, "no answer")
	if sum, ok := fen(data["tkje"]); ok && t.Code == "0" && data["czbz"] != "1" {
		if _, there := h.books.RefundOf(data["histkh"]); !there {
			r := h.books.Refund(books.Refund{No: data["histkh"], HisNo: data["histkh"], Order: data["ddh"], Operator: data["czy"], AmountFen: sum}, "")
			effect += ", " + r.Journal()
		}
	}
	h.books.Note("9101", data["histkh"], effect, "")
	return t, nil
}

func (p *pushes) tell(ctx context.Context, hub string, data fields, forge bool) Told {
	now := time.Now().In(books.Zone)
	msgid := "YA330001" + now.Format("20060102150405") + p.his.books.Number("0")
	s := p.his.seal
	outer := fields{"infno": "9101", "msgid": msgid, "infver": "V1.0", "opter": data["czy"], "inf_time": now.Format("20060102150405"),
		"input": s.seal(layered("data", data), msgid)}
	if forge {
		s.key += "-forged"
	}
	outer["sign"] = s.sign(outer)
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, hub, bytes.NewReader(compact(outer)))
	if err != nil {
		return Told{Error: err.Error()}
	}
	q.Header.Set("Content-Type", jsonType)
	answered, err := p.client.Do(q)
	if err != nil {
		return Told{Error: err.Error()}
	}
	defer answered.Body.Close()
	t := Told{Status: answered.StatusCode}
	body, err := io.ReadAll(io.LimitReader(answered.Body, 4<<20))
	if err != nil {
		t.Error = err.Error()
		return t
	}
	out, err := flat(body)
	switch {
	case err != nil:
		t.Error = "the answer is no flat JSON"
	case p.his.seal.sign(out) != out["sign"]:
		t.Error = "the answer is signed with another key"
	case out["inf_refmsgid"] != msgid:
		t.Error = "the answer refers to another message"
	default:
		t.Code, t.Words = out["infcode"], out["err_msg"]
		var inner struct{ Result string }
		if plain, err := p.his.seal.unseal(out["output"], msgid); err == nil && json.Unmarshal(plain, &inner) == nil {
			t.Result = inner.Result
		}
	}
	return t
}

// serve is POST /push of the control port: the fields, and forge and hub beside them.
func (p *pushes) serve(w http.ResponseWriter, r *http.Request) {
	var all map[string]any
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(body, &all)
	}
	push := Window{Fields: fields{}}
	for name, value := range all {
		text, isText := value.(string)
		forge, isBool := value.(bool)
		switch {
		case name == "forge" && isBool:
			push.Forge = forge
		case name == "hub" && isText:
			push.Hub = text
		case isText:
			push.Fields[name] = text
		default:
			err = fmt.Errorf("push: field %q must be text", name)
		}
	}
	var t Told
	if err == nil {
		t, err = p.his.Push(r.Context(), push)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
		return
	}
	_ = json.NewEncoder(w).Encode(t)
}
