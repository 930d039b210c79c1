package resthis

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"unicode/utf8"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

const jsonType = "application/json;charset=utf-8"

// reply is the answer before it is dressed.
type reply struct {
	code    int
	words   string
	dateset any // nil: null
}

func (h *HIS) answer(a reply, msgid string) fault.Answer {
	id, sign := newID(), ""
	if _, key := h.keys.now(); key != "" {
		sum := md5.Sum([]byte(fmt.Sprintf("%s&%s&%d&key=%s", msgid, id, a.code, key)))
		sign = hex.EncodeToString(sum[:])
	}
	body, err := json.Marshal(struct {
		MsgID   string `json:"msgid"`
		RemsgID string `json:"remsgid"`
		Success int    `json:"success"`
		MsgText string `json:"msgtext"`
		Dateset any    `json:"dateset"`
		Sign    string `json:"sign,omitempty"`
	}{msgid, id, a.code, a.words, a.dateset, sign})
	if err != nil {
		panic(err) // our own structs
	}
	return fault.Answer{Type: jsonType, Body: body}
}

func newID() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }

func done(dateset any) reply      { return reply{1, "成功", dateset} }
func refused(words string) reply  { return reply{2001, words, nil} }
func malformed(what string) reply { return reply{8888, "报文格式错误: " + what, nil} }

// booked answers for a write.
func booked(r books.Result, kind fault.Kind, dateset any) reply {
	switch {
	case r.Effect == books.Refused:
		return refused(r.Words)
	case r.Effect == books.Conflict:
		return reply{1004, "重复提交内容不一致", dateset}
	case r.Effect == books.Already, r.Effect == books.Done && kind == fault.DuplicateAnswer:
		return reply{1005, "重复提交", dateset}
	}
	return done(dateset)
}

// sign is what the header "sign" must be.
func sign(h http.Header, body []byte, key string) string {
	d := md5.New()
	for i, name := range []string{"clienttype", "code", "customid", "msgid", "param", "reqtime", "token"} {
		if i > 0 {
			_, _ = d.Write([]byte("&"))
		}
		_, _ = d.Write([]byte(name + "="))
		if name == "param" {
			_, _ = d.Write(body)
		} else {
			_, _ = d.Write([]byte(h.Get(name)))
		}
	}
	if key != "" {
		_, _ = d.Write([]byte("&key=" + key))
	}
	return hex.EncodeToString(d.Sum(nil))
}

// process is the one entrance for all business.
func (h *HIS) process(w http.ResponseWriter, r *http.Request) {
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return // the caller broke off; nothing was understood
	}
	code := r.Header.Get("code")
	work, known := codes[code]
	var in input
	var wrong *reply
	taken, _ := h.keys.now()
	switch {
	case r.Header.Get("sign") != sign(r.Header, body, taken):
		wrong = &reply{1003, "签名错误", nil}
	case !h.tokens.good(r.Header.Get("token")):
		wrong = &reply{1002, "Token错误", nil}
	case !known:
		wrong = &reply{8888, "交易代码错误", nil}
	case r.Header.Get("msgid") == "":
		wrong = ptr(malformed("msgid"))
	case !utf8.Valid(body):
		wrong = ptr(malformed("UTF-8"))
	default:
		if err := json.Unmarshal(body, &in); err != nil {
			wrong = ptr(malformed("JSON"))
		}
	}
	key := ""
	if known {
		key = work.key(&in)
	}
	h.play(w, r, code, key, func(kind fault.Kind) (reply, string) {
		if wrong != nil {
			return *wrong, "refused: " + wrong.words
		}
		if work.inquiry && h.options.Inquiry == "none" {
			return refused("未开通"), "refused: 未开通"
		}
		return work.act(h, &in, kind)
	})
}

func ptr(a reply) *reply { return &a }

// auth logs in or renews a login.
func (h *HIS) auth(w http.ResponseWriter, r *http.Request) {
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return
	}
	var in struct{ User, Password, RefreshToken string }
	broken := json.Unmarshal(body, &in) != nil
	h.play(w, r, "AUTH", in.User, func(fault.Kind) (reply, string) {
		switch {
		case broken:
			return malformed("JSON"), "refused: JSON"
		case in.RefreshToken != "" && h.tokens.renewable(in.RefreshToken):
		case in.RefreshToken == "" && in.User == h.options.User && in.Password == h.options.Password:
		default:
			return reply{1001, "请重新登录", nil}, "refused: login"
		}
		return done(h.tokens.issue()), "done"
	})
}
