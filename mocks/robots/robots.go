// Package robots is a fake of the group robots of WeCom and DingTalk: it checks what
// they check (key, token, signature and its time, the form and size of a message, 20
// messages a minute), answers their error codes with HTTP 200, and keeps what it
// would have shown to a group.
//
// What it answers is written down at
// https://developer.work.weixin.qq.com/document/path/91770 and
// https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages.
package robots

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Options of a start. Without keys and tokens there are WeComKey and DingTalkToken.
type Options struct {
	Listen, Control string
	// Keys of WeCom's robots.
	Keys []string
	// Tokens of DingTalk's robots with the secrets that sign; "" goes by the keyword.
	Tokens map[string]string
	// PerMinute is how many messages a robot takes; 20 if 0.
	PerMinute int
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Beside are more pages of the control port, by pattern.
	Beside map[string]http.HandlerFunc
}

// What a robot has when nobody says otherwise.
const (
	WeComKey       = "693a91f6-test-robot"
	DingTalkToken  = "0123456789abcdef-test-robot"
	DingTalkSecret = "SECtest0123456789"
	// Keyword must be in messages of a DingTalk robot without a secret.
	Keyword = "hishub"
)

// Message is what a group would see.
type Message struct {
	// Robot is wecom or dingtalk.
	Robot string    `json:"robot"`
	Key   string    `json:"key"`
	Title string    `json:"title,omitempty"`
	Text  string    `json:"text"`
	At    time.Time `json:"at"`
}

// Fault strikes the next requests.
type Fault struct {
	// Status answers this HTTP status, Code this errcode with HTTP 200.
	Status int `json:"status,omitempty"`
	Code   int `json:"code,omitempty"`
	// Hang does not answer at all, until the caller gives up. Drop takes the message and
	// closes the connection without an answer.
	Hang bool `json:"hang,omitempty"`
	Drop bool `json:"drop,omitempty"`
	// Garble answers what is no JSON.
	Garble bool `json:"garble,omitempty"`
	// Times is how many requests; 1 if 0.
	Times int `json:"times,omitempty"`
}

// Robots is the running fake.
type Robots struct {
	o       Options
	site    *http.Server
	control *http.Server
	addr    string
	port    string

	mu       sync.Mutex
	shown    []Message
	refused  map[int]int // errcode to count
	requests int
	recent   map[string][]time.Time
	deaf     map[string]time.Time
	faults   []Fault
}

// Start opens both ports.
func Start(_ context.Context, o Options) (*Robots, error) {
	if o.Keys == nil && o.Tokens == nil {
		o.Keys, o.Tokens = []string{WeComKey}, map[string]string{DingTalkToken: DingTalkSecret}
	}
	if o.PerMinute == 0 {
		o.PerMinute = 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Robots{o: o, refused: map[int]int{}, recent: map[string][]time.Time{}, deaf: map[string]time.Time{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cgi-bin/webhook/send", r.struck(r.weCom))
	mux.HandleFunc("POST /robot/send", r.struck(r.dingTalk))
	desk := http.NewServeMux()
	desk.HandleFunc("GET /messages", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(r.Messages()) })
	desk.HandleFunc("POST /faults", func(w http.ResponseWriter, q *http.Request) {
		var f Fault
		if err := json.NewDecoder(io.LimitReader(q.Body, 1<<16)).Decode(&f); err != nil {
			http.Error(w, `{"error":"not a fault"}`, http.StatusBadRequest)
			return
		}
		r.Strike(f)
	})
	for pattern, page := range o.Beside {
		desk.HandleFunc(pattern, page)
	}
	var err error
	if r.site, r.addr, err = serve(o.Listen, mux); err != nil {
		return nil, err
	}
	if r.control, r.port, err = serve(o.Control, desk); err != nil {
		r.site.Close()
		return nil, err
	}
	return r, nil
}

func serve(listen string, h http.Handler) (*http.Server, string, error) {
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	return s, l.Addr().String(), nil
}

// URL stands in the place of both https://qyapi.weixin.qq.com and https://oapi.dingtalk.com.
func (r *Robots) URL() string { return "http://" + r.addr }

// ControlURL has GET /messages and POST /faults.
func (r *Robots) ControlURL() string { return "http://" + r.port }

// Close cuts what is in flight.
func (r *Robots) Close() error { return errors.Join(r.site.Close(), r.control.Close()) }

// Messages are those shown so far.
func (r *Robots) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Message{}, r.shown...)
}

// Refused counts the answers of an errcode; Requests all that came.
func (r *Robots) Refused(code int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused[code]
}

// Requests counts all that came, also those that met a fault.
func (r *Robots) Requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// Strike adds a fault; Mend drops all.
func (r *Robots) Strike(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.Times = max(f.Times, 1)
	r.faults = append(r.faults, f)
}

// Mend drops all faults.
func (r *Robots) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
}

func (r *Robots) fault() (f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if len(r.faults) == 0 {
		return f
	}
	f = r.faults[0]
	if r.faults[0].Times--; r.faults[0].Times == 0 {
		r.faults = r.faults[1:]
	}
	return f
}

// answer is what both robots say: HTTP 200 whatever happened.
type answer struct {
	Code int    `json:"errcode"`
	Text string `json:"errmsg"`
}

// struck plays a fault in front of, or behind, what the robot does.
func (r *Robots) struck(take func(*http.Request, []byte) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(io.LimitReader(q.Body, 1<<20))
		if err != nil {
			return
		}
		f := r.fault()
		a := answer{f.Code, "fault"}
		switch {
		case f.Hang:
			<-q.Context().Done()
			return
		case f.Status != 0:
			w.WriteHeader(f.Status)
			return
		case f.Garble:
			_, _ = io.WriteString(w, "<html>a login page</html>")
			return
		case f.Code == 0:
			a = take(q, body)
		}
		if f.Drop {
			panic(http.ErrAbortHandler)
		}
		if a.Code != 0 {
			r.mu.Lock()
			r.refused[a.Code]++
			r.mu.Unlock()
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_ = json.NewEncoder(w).Encode(a)
	}
}

// mayShow counts a message against the robot's minute. A refused one counts, too, and
// DingTalk hears nothing for ten minutes then.
func (r *Robots) mayShow(robot, key string) bool {
	now := r.o.Now()
	k := robot + " " + key
	if now.Before(r.deaf[k]) {
		return false
	}
	recent := r.recent[k]
	for len(recent) > 0 && now.Sub(recent[0]) >= time.Minute {
		recent = recent[1:]
	}
	r.recent[k] = append(recent, now)
	if len(recent) < r.o.PerMinute {
		return true
	}
	if robot == "dingtalk" {
		r.deaf[k] = now.Add(10 * time.Minute)
	}
	return false
}

func (r *Robots) show(m Message, code int, text string) answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mayShow(m.Robot, m.Key) {
		return answer{code, text}
	}
	m.At = r.o.Now()
	r.shown = append(r.shown, m)
	return answer{0, "ok"}
}

func (r *Robots) weCom(q *http.Request, body []byte) answer {
	key := q.URL.Query().Get("key")
	known := false
	for _, k := range r.o.Keys {
		known = known || k == key
	}
	var m struct {
		Type     string `json:"msgtype"`
		Markdown struct{ Content string }
	}
	switch err := json.Unmarshal(body, &m); {
	case !known:
		return answer{93000, "invalid webhook url"}
	case err != nil || !utf8.Valid(body):
		return answer{93017, "invalid json"}
	case m.Type != "markdown":
		return answer{40008, "invalid message type"}
	case m.Markdown.Content == "" || len(m.Markdown.Content) > 4096:
		return answer{40058, "markdown.content exceed max length 4096"}
	}
	return r.show(Message{Robot: "wecom", Key: key, Text: m.Markdown.Content}, 45009, "api freq out of limit")
}

func (r *Robots) dingTalk(q *http.Request, body []byte) answer {
	query := q.URL.Query()
	token := query.Get("access_token")
	secret, known := r.o.Tokens[token]
	var m struct {
		Type     string `json:"msgtype"`
		Markdown struct{ Title, Text string }
	}
	switch err := json.Unmarshal(body, &m); {
	case !known:
		return answer{300001, "token is not exist"}
	case err != nil:
		return answer{40035, "缺少参数 json"}
	case m.Type != "markdown" || m.Markdown.Title == "" || m.Markdown.Text == "":
		return answer{400106, "不支持的消息类型"}
	case len(body) > 20000:
		return answer{460101, "message too long"}
	case secret == "" && !strings.Contains(m.Markdown.Title+m.Markdown.Text, Keyword):
		return answer{310000, "keywords not in content"}
	case secret != "" && !r.signed(secret, query.Get("timestamp"), query.Get("sign")):
		return answer{310000, "sign not match"}
	}
	return r.show(Message{Robot: "dingtalk", Key: token, Title: m.Markdown.Title, Text: m.Markdown.Text}, 130101, "send too fast, exceed 20 times per minute")
}

// signed: the signature is of this secret and not older, or newer, than an hour.
func (r *Robots) signed(secret, timestamp, sign string) bool {
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || r.o.Now().Sub(time.UnixMilli(ms)).Abs() > time.Hour {
		return false
	}
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(timestamp + "\n" + secret))
	return hmac.Equal([]byte(sign), []byte(base64.StdEncoding.EncodeToString(h.Sum(nil))))
}
