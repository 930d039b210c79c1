package certify

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"reflect"
	"strings"

	"hishub/core"
	"hishub/core/inbound"
	"hishub/mapping"
)

// inbound is chapter F. It needs no HIS: the requests are those of the cases, and
// they meet the listeners as those of the HIS would.
func (r *run) inbound() {
	results := r.Agreed.RunCases()
	listeners := r.Agreed.Dialect.Listeners
	if len(listeners) == 0 {
		for _, check := range []string{"F.answers", "F.tampered", "F.stranger"} {
			r.item(check, "", func(it *Item) {
				it.notApplicable("HIS 不主动调用我方", "this HIS does not call us")
			})
		}
		return
	}
	for _, name := range sorted(listeners) {
		l := listeners[name]
		for _, kind := range l.Kinds {
			r.item("F.answers", string(kind), func(it *Item) { r.heard(it, kind, results) })
			r.item("F.tampered", string(kind), func(it *Item) { r.tampered(it, l, kind) })
		}
		r.item("F.stranger", name, func(it *Item) { r.stranger(it, l) })
	}
}

func (r *run) heard(it *Item, kind core.Kind, results []mapping.CaseResult) {
	passed := 0
	for _, c := range results {
		if c.Name != string(kind) && !strings.HasPrefix(c.Name, string(kind)+".") {
			continue
		}
		if !c.Passed() {
			it.fail("%s：%s", "%s: %s", c.Name, strings.Join(c.Differences, "; "))
			continue
		}
		passed++
	}
	switch {
	case passed == 0 && it.Result == Pass:
		it.notTried("没有用例", "there is no case of it")
	default:
		it.say("%d 个约定的请求与应答逐字节一致", "%d agreed requests are answered byte for byte", passed)
	}
}

// request is the recorded one of a case of that kind which the listener takes.
func (r *run) request(l *core.Listener, kind core.Kind) (q core.Incoming, body core.Body) {
	dirs, _ := fs.Glob(r.Files, "cases/"+string(kind)+"*")
	for _, dir := range dirs {
		if name := path.Base(dir); name != string(kind) && !strings.HasPrefix(name, string(kind)+".") {
			continue
		}
		names, _ := fs.Glob(r.Files, path.Join(dir, "request.*"))
		if len(names) != 1 {
			continue
		}
		data, err := fs.ReadFile(r.Files, names[0])
		if err != nil {
			continue
		}
		q, err := mapping.RecordedRequest(data)
		if err != nil {
			continue
		}
		if o, ok := r.open(l, q); ok && o.Body != nil && o.Kind == kind {
			return q, o.Body
		}
	}
	return core.Incoming{}, nil
}

func (r *run) open(l *core.Listener, q core.Incoming) (core.Opened, bool) {
	arrival, err := l.Wire.Read(q)
	if err != nil {
		return core.Opened{}, false
	}
	return l.Door.Open(arrival, r.hospital.Stamp("", r.now, 1)), true
}

// tampered changes one digit of a good request, an amount or a number.
func (r *run) tampered(it *Item, l *core.Listener, kind core.Kind) {
	if !l.Signed {
		it.notApplicable("该接口没有签名，靠来源地址或证书识别", "it has no signature; the caller is known by address or certificate")
		return
	}
	q, body := r.request(l, kind)
	if body == nil {
		it.notTried("没有可用的用例", "there is no case to tamper with")
		return
	}
	tried, without := 0, 0
	for i, c := range q.Body {
		if c < '0' || c > '9' {
			continue
		}
		changed := q
		changed.Body = bytes.Clone(q.Body)
		changed.Body[i] = '0' + (c-'0'+1)%10
		tried++
		o, ok := r.open(l, changed)
		switch {
		case !ok || o.Body == nil:
		case reflect.DeepEqual(o.Body, body):
			without++ // a digit of the document's frame, which says nothing
		case r.knownByToken(l, q):
			it.notApplicable("该接口约定只核对请求头或参数中的口令，不对内容签名：改动口令被拒绝，改动内容不会被发现；请确认传输已加密", "the dialect signs nothing: the caller is known by a token in a header or parameter. Another token is refused, a changed content is not noticed; see that the way is encrypted")
			return
		default:
			it.fail("改动第 %d 字节后，内容变了却仍被接受", "with byte %d changed it says something else and is still taken", i+1)
			return
		}
	}
	if tried == without {
		it.notTried("请求中没有可改动的数字", "it holds no digit to change")
		return
	}
	it.say("逐一改动 %d 个数字，没有一次被当作真的内容接受", "each of %d digits was changed in turn, and nothing that was changed was believed", tried)
}

// foreign is an address that nobody has (RFC 5737).
const foreign = "203.0.113.7:4000"

func (r *run) stranger(it *Item, l *core.Listener) {
	switch {
	case !l.OverHTTP():
		it.notTried("该接口不经 HTTP，请在上线环境中验证", "it is not reached over HTTP; try it where it is deployed")
		return
	case l.Allow == nil:
		it.notApplicable("该接口不按来源地址识别", "it does not go by addresses")
		return
	}
	hospital := core.NewHospital(r.Agreed.Dialect, 1, nil, nil, nil)
	s := &inbound.Server{
		Hospital: func(context.Context, string) (*core.Hospital, error) { return hospital, nil },
		Log:      slog.New(slog.DiscardHandler),
	}
	q, err := http.NewRequestWithContext(r.ctx, http.MethodPost, "http://hub/his/"+r.hospital.ID()+"/"+l.Name, http.NoBody)
	if err != nil {
		it.fail("%v", "%v", err)
		return
	}
	q.RemoteAddr = foreign
	var a refusal
	s.Handler().ServeHTTP(&a, q)
	if a.status != http.StatusForbidden {
		it.fail("来自 203.0.113.7 的请求没有被拒绝（HTTP %d）", "a request from 203.0.113.7 was not refused (HTTP %d)", a.status)
	}
}

// refusal keeps the status of an answer.
type refusal struct {
	header http.Header
	status int
}

func (a *refusal) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *refusal) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return len(b), nil
}

func (a *refusal) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}
