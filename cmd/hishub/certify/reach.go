package certify

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"hishub/core"
)

// clockOff is how far the HIS's clock may be from ours before dates go wrong.
const clockOff = time.Minute

// reach is chapter B.
func (r *run) reach() {
	for _, name := range sorted(r.hospital.Connectors) {
		r.item("B.answers", name, func(it *Item) { r.answers(it, name) })
		r.item("B.tls", name, func(it *Item) { r.certificate(it, name) })
	}
	r.item("B.clock", "", r.clock)
	if len(r.hospital.Sessions) == 0 {
		for _, check := range []string{"B.login", "B.renew"} {
			r.item(check, "", func(it *Item) { it.notApplicable("该接口不需要登录", "this HIS wants no login") })
		}
	}
	for _, name := range sorted(r.hospital.Sessions) {
		r.item("B.login", name, func(it *Item) { r.login(it, name) })
		r.item("B.renew", name, func(it *Item) { r.renewed(it, name) })
	}
}

// knock tries only whether the HIS is there and lets us in, for a run without chapter
// B. An item is filed where it is not.
func (r *run) knock() {
	if !slices.ContainsFunc(r.Only, func(letter string) bool { return strings.Contains("CDEGH", letter) }) {
		return
	}
	for _, name := range sorted(r.hospital.Connectors) {
		it := r.tried("B.answers", name, func(it *Item) { r.answers(it, name) })
		if _, ok := r.shut.connectors[name]; ok {
			r.file(it)
		}
	}
	for _, name := range sorted(r.hospital.Sessions) {
		it := r.tried("B.login", name, func(it *Item) { r.login(it, name) })
		if _, ok := r.shut.sessions[name]; ok {
			r.file(it)
		}
	}
}

// harmless asks the HIS something that changes nothing, where wanted says so of
// the call. call is nil when the folder has no such question.
func (r *run) harmless(it *Item, wanted func(*core.Call) bool) (x core.Exchange, call *core.Call) {
	for _, t := range core.Catalogue {
		op := r.hospital.Operations[t.Kind]
		if op == nil {
			continue
		}
		body, step := t.Body(), firstInquirable(op)
		if _, dictionary := body.(*core.DictionaryQuery); t.Mode == core.Question && dictionary && wanted(&op.Steps[0].Call) {
			call, x = &op.Steps[0].Call, r.ask(t.Kind, body)
		} else if _, ledger := body.(*core.LedgerQuery); t.Mode == core.Question && ledger && wanted(&op.Steps[0].Call) {
			call, x = &op.Steps[0].Call, r.ask(t.Kind, r.day())
		} else if t.Mode == core.Write && step != nil && wanted(&step.Inquire.Call) {
			template, err := r.of(t.Kind)
			if err != nil || template == nil {
				continue
			}
			call = &step.Inquire.Call
			_, x = r.inquire(t.Kind, copyOf(template), step, nil)
		} else {
			continue
		}
		r.see(it, text{"只读请求", "a request that changes nothing"}, x, nil, "")
		return x, call
	}
	return x, nil
}

// answered: the HIS said something that the folder understands.
func answered(x core.Exchange) bool {
	switch x.Verdict.Outcome {
	case core.OutcomeUnavailable, core.OutcomeInDoubt, core.OutcomeInvalid:
		return false
	}
	return true
}

func (r *run) answers(it *Item, connector string) {
	x, call := r.harmless(it, func(c *core.Call) bool { return c.Connector == connector })
	if call != nil && !answered(x) {
		r.shutBy(call, x)
	}
	why, unreached := r.shut.connectors[connector]
	switch {
	case call == nil:
		r.shut.unasked["connector "+connector] = true
		it.notTried("没有可经由此接口的只读请求；写入交易一章会用到它", "no question goes over it; the writes will")
	case answered(x):
	case unreached:
		it.fail("%s", "%s", why.in(r.Lang))
	case r.closed(call) == nil:
		it.fail("没有得到正常应答：%s", "no good answer: %s", x.Verdict.Outcome)
	case r.hospital.Sessions[call.Session].Login.Connector == connector:
		it.say("可以连通，但登录没有成功", "it is reached, and answers; but it lets nobody in")
	default:
		it.outOfReach(r.closed(call))
	}
}

// certificate looks at the server's certificate. That it is trusted, the exchanges
// prove; here only its dates are read.
func (r *run) certificate(it *Item, connector string) {
	spec := r.hospital.Connectors[connector]
	address, name := "", ""
	for _, option := range []string{"endpoint", "base"} {
		if s, ok := spec.Options[option].(string); ok {
			if u, err := url.Parse(s); err == nil && u.Scheme == "https" {
				address, name = u.Host, u.Hostname()
				if u.Port() == "" {
					address = net.JoinHostPort(u.Hostname(), "443")
				}
			}
		}
	}
	options, _ := spec.Options["tls"].(map[string]any)
	if s, ok := spec.Options["address"].(string); ok && options != nil {
		address = s
		name, _, _ = net.SplitHostPort(s)
	}
	if address == "" {
		it.notApplicable("该接口没有使用 TLS，或由数据库驱动自行协商", "it uses no TLS, or a database's driver sees to it")
		return
	}
	if s, ok := options["server_name"].(string); ok && s != "" {
		name = s
	}
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}} //nolint:gosec // nothing is said over it; see above
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		if !it.outOfReach(r.closed(&core.Call{Connector: connector})) {
			it.fail("TLS 握手失败", "the TLS handshake failed")
		}
		return
	}
	defer c.Close()
	for _, cert := range c.(*tls.Conn).ConnectionState().PeerCertificates {
		left := time.Until(cert.NotAfter)
		it.say("%s：有效期 %s 至 %s，剩余 %d 天", "%s: valid from %s to %s, %d days left",
			cert.Subject.CommonName, cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly), int(left.Hours()/24))
		if left < 0 || time.Now().Before(cert.NotBefore) {
			it.fail("证书不在有效期内", "it is not valid now")
		}
	}
}

func (r *run) clock(it *Item) {
	if r.hospital.Operations[core.SystemTimeAsk] == nil {
		it.notApplicable("配置中没有 system.time", "the folder has no system.time")
		return
	}
	if it.outOfReach(r.closedKind(core.SystemTimeAsk)) {
		return
	}
	began := time.Now()
	x := r.ask(core.SystemTimeAsk, &core.DictionaryQuery{})
	r.see(it, text{"询问时钟", "asked for its clock"}, x, nil, "")
	told, _ := x.Verdict.Answer.(*core.SystemTime)
	if told == nil || told.Time.IsZero() {
		it.fail("没有答出时间：%s", "it told no time: %s", x.Verdict.Outcome)
		return
	}
	off := told.Time.Sub(began.Add(time.Since(began) / 2)).Round(time.Second)
	it.say("相差 %s", "it is off by %s", off)
	if off.Abs() > clockOff {
		it.fail("相差超过 %s", "that is more than %s", clockOff)
	}
}

func (r *run) inSession(it *Item, session string) (core.Exchange, *core.Call) {
	return r.harmless(it, func(c *core.Call) bool { return c.Session == session })
}

func (r *run) login(it *Item, session string) {
	if _, known := r.shut.sessions[session]; !known && it.outOfReach(r.closed(&core.Call{Session: session})) {
		return
	}
	x, call := r.inSession(it, session)
	if call != nil && !answered(x) {
		r.shutBy(call, x)
	}
	why, refused := r.shut.sessions[session]
	switch {
	case refused:
		it.fail("%s", "%s", why.in(r.Lang))
	case call == nil:
		r.shut.unasked["session "+session] = true
		it.notTried("没有需要此登录的只读请求", "no question needs this login")
	case !answered(x):
		it.fail("登录后没有得到正常应答：%s", "no good answer after the login: %s", x.Verdict.Outcome)
	}
}

// renewed spoils each value of the session in turn, as if it had expired or another
// had taken it over.
func (r *run) renewed(it *Item, session string) {
	id := r.hospital.ID()
	if it.outOfReach(r.closed(&core.Call{Session: session})) {
		return
	}
	good, ok, err := r.sessions.Get(r.ctx, id, session)
	if err != nil || !ok {
		it.notTried("登录没有成功", "there is no login to spoil")
		return
	}
	tried := 0
	for _, name := range sorted(good) {
		now, ok, err := r.sessions.Get(r.ctx, id, session)
		if err != nil || !ok {
			now = good
		}
		bad := maps.Clone(now)
		bad[name] = "0" + bad[name][min(1, len(bad[name])):]
		if bad[name] == now[name] {
			bad[name] = "1" + bad[name][1:]
		}
		if s := r.hospital.Sessions[session]; s.Expires != nil {
			until, err := s.Expires(core.Input{Session: bad, Stamp: r.hospital.Stamp("", time.Now(), 1)})
			was, _ := s.Expires(core.Input{Session: now, Stamp: r.hospital.Stamp("", time.Now(), 1)})
			if err != nil || !until.Equal(was) {
				continue // this one says when it expires
			}
		}
		if err := r.sessions.Put(r.ctx, id, session, bad, time.Hour); err != nil {
			continue
		}
		x, asked := r.inSession(it, session)
		if asked == nil {
			it.notTried("没有需要此登录的只读请求", "no question needs this login")
			return
		}
		after, _, _ := r.sessions.Get(r.ctx, id, session)
		switch {
		case !answered(x):
			it.fail("%s 失效后没有自动恢复：%s", "with a wrong %s the request did not go through: %s", name, x.Verdict.Outcome)
			_ = r.sessions.Put(r.ctx, id, session, now, time.Hour)
		case !maps.Equal(after, bad):
			tried++
		}
	}
	if tried == 0 && it.Result == Pass {
		it.notTried("HIS 接受了错误的令牌，没有触发重新登录", "the HIS took a wrong token, so nothing had to be renewed")
	}
}
