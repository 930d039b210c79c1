package certify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"hishub/core"
)

// shut is what chapter B found out of reach. What needs it is not tried: each try
// would wait for every timeout and repeat there is, and prove nothing.
type shut struct {
	connectors, sessions map[string]text // why, by name
	// unasked are what no question needs, "connector default", "session main"; the first
	// write tells of them.
	unasked map[string]bool

	mu sync.Mutex
	// logins are the last verdicts on each session's login.
	logins map[string]core.Verdict
}

func newShut() *shut {
	return &shut{connectors: map[string]text{}, sessions: map[string]text{}, unasked: map[string]bool{}, logins: map[string]core.Verdict{}}
}

// errShut: what a message needs is out of reach.
type errShut struct{ why text }

func (e errShut) Error() string { return e.why.en }

// observed keeps what the HIS said to a login; core.Hospital tells only that it failed.
func (r *run) observed(sessions map[string]*core.Session) func(core.Exchange) {
	return func(x core.Exchange) {
		for name, s := range sessions {
			if x.Call == s.Login.Name && x.Connector == s.Login.Connector {
				r.shut.mu.Lock()
				r.shut.logins[name] = x.Verdict
				r.shut.mu.Unlock()
			}
		}
	}
}

// closed says why a call cannot be made; nil if nothing is known against it.
func (r *run) closed(call *core.Call) error {
	if why, ok := r.shut.connectors[call.Connector]; ok {
		return errShut{why}
	}
	if call.Session == "" {
		return nil
	}
	if why, ok := r.shut.sessions[call.Session]; ok {
		return errShut{why}
	}
	if s := r.hospital.Sessions[call.Session]; s != nil {
		if why, ok := r.shut.connectors[s.Login.Connector]; ok {
			return errShut{why}
		}
	}
	return nil
}

// closedKind says why a transaction cannot be carried out.
func (r *run) closedKind(kind core.Kind) error {
	op := r.hospital.Operations[kind]
	if op == nil {
		return nil
	}
	for i := range op.Steps {
		if err := r.closed(&op.Steps[i].Call); err != nil {
			return err
		}
		if q := op.Steps[i].Inquire; q != nil {
			if err := r.closed(&q.Call); err != nil {
				return err
			}
		}
	}
	return nil
}

// outOfReach marks an item not tried if that is why.
func (it *Item) outOfReach(err error) bool {
	var e errShut
	if !errors.As(err, &e) {
		return false
	}
	it.notTried("%s", "%s", e.why.in(it.lang))
	return true
}

// shutBy closes what an exchange shows to be out of reach: the login if the HIS
// answered it and let nobody in, else the connector if nothing came over it.
func (r *run) shutBy(call *core.Call, x core.Exchange) {
	if x.Verdict.Outcome != core.OutcomeUnavailable && (x.Verdict.Outcome != core.OutcomeInDoubt || len(x.Received) > 0) {
		return
	}
	over := call.Connector
	if s := r.hospital.Sessions[call.Session]; s != nil {
		r.shut.mu.Lock()
		v, ok := r.shut.logins[call.Session]
		r.shut.mu.Unlock()
		switch {
		case !ok || v.Outcome == core.OutcomeOK:
		case v.Outcome == core.OutcomeUnavailable || errors.As(v.Err, new(*core.Fault)):
			over = s.Login.Connector
			x.Verdict = v
		default:
			words := ""
			if v.Words != "" {
				words = ": " + string(r.hospital.Redact([]byte(v.Words)))
			}
			if words == "" && v.Err != nil {
				words = ": " + v.Err.Error()
			} else if words == "" {
				words = "; the folder's login has no rule message that shows its words"
			}
			r.shut.sessions[call.Session] = text{
				fmt.Sprintf("登录 %s 被 HIS 拒绝（%s）%s", call.Session, v.Outcome, words),
				fmt.Sprintf("the HIS refuses the login %s (%s)%s", call.Session, v.Outcome, words),
			}
			return
		}
	}
	why := r.dial(over)
	if why == nil {
		why = x.Verdict.Err
	}
	if why == nil {
		why = errors.New(string(x.Verdict.Outcome))
	}
	r.shut.connectors[over] = text{fmt.Sprintf("接口 %s 无法连通：%v", over, why), fmt.Sprintf("the HIS cannot be reached over the connector %s: %v", over, why)}
}

// dial says why nobody can connect to where a connector leads; nil if one can, or
// if the folder does not tell where that is.
func (r *run) dial(connector string) error {
	address := addressOf(r.hospital.Connectors[connector])
	if address == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, min(5*time.Second, r.hospital.Timeout(connector)))
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// addressOf is host:port of a connector that has one; "" for a database.
func addressOf(spec core.ConnectorSpec) string {
	if s, ok := spec.Options["address"].(string); ok {
		return s
	}
	for _, option := range []string{"endpoint", "base"} {
		s, _ := spec.Options[option].(string)
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			continue
		}
		if u.Port() != "" {
			return u.Host
		}
		return net.JoinHostPort(u.Hostname(), map[bool]string{true: "443", false: "80"}[u.Scheme == "https"])
	}
	return ""
}
