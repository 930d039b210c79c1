package mapping

import (
	"errors"
	"slices"
	"time"

	"hishub/core"
)

// session is a login as it is written.
type session struct {
	name  string
	at    pos
	keys  map[string]*node
	names []string // what the login captures, session.x
	// ends is the expression of expires, in the names of its mapper; nil without one.
	ends  *program
	until *mapper
}

func (l *loader) readSessions() {
	l.sessions = map[string]*session{}
	n := l.hospital["sessions"]
	if n == nil {
		return
	}
	for _, f := range n.fields {
		s := &session{name: f.key.text, at: f.key.pos, keys: l.section(f.value, sessionTable)}
		if login := s.keys["login"]; login != nil {
			if c := login.get("capture"); c != nil && c.kind == mapNode {
				for _, k := range c.fields {
					s.names = append(s.names, k.key.text)
				}
			} else {
				l.mistake(login.pos, "write capture: {token: = answer.token}", "the login of %s captures nothing", s.name)
			}
		}
		l.sessions[s.name] = s
	}
}

func (l *loader) compileSession(s *session) *core.Session {
	out := &core.Session{Name: s.name, Early: durationOf(s.keys["early"], time.Minute)}
	if n := s.keys["login"]; n != nil {
		c := l.compileLogin(s, n, "login "+s.name, true)
		out.Login = c.call("login " + s.name)
	}
	if n := s.keys["refresh"]; n != nil {
		c := l.compileLogin(s, n, "refresh "+s.name, false)
		call := c.call("refresh " + s.name)
		call.Session = ""
		out.Refresh = &call
		for _, name := range s.names {
			if !slices.Contains(c.captures, name) {
				l.mistake(n.pos, "capture it, what is not captured is lost", "the refresh of %s does not capture %q, the login does", s.name, name)
			}
		}
	}
	if n := s.keys["expires"]; n != nil {
		out.Expires = l.sessionEnd(s, n)
	}
	return out
}

// compileLogin compiles a login, which sees no session, or a refresh, which sees
// the one that expired.
func (l *loader) compileLogin(s *session, n *node, name string, first bool) *compiled {
	keys := l.section(n, loginTable)
	x := &exchange{name: name, at: n.pos, layers: []map[string]*node{keys}, login: first}
	if !first {
		x.layers = append(x.layers, map[string]*node{"session": {pos: n.pos, text: s.name}})
	}
	return l.compile(x)
}

// sessionEnd compiles the time at which a session ends.
func (l *loader) sessionEnd(s *session, n *node) func(core.Input) (time.Time, error) {
	u := newUnit(l)
	m := &mapper{unit: u, name: "session " + s.name}
	scope := u.base(nil, captures{}, sessionChoice{name: s.name, names: s.names})
	skip, ok := isExpression(n)
	if !ok {
		l.mistake(n.pos, `write = from_time(session.until, "yyyy-MM-dd HH:mm:ss") or = add(...)`, "expires is a time, not literal text")
		return nil
	}
	p := scope.expression(n, skip)
	if p == nil {
		return nil
	}
	if p.typ != timeType {
		l.mistake(p.at, cureOf(timeType, n.text[skip:]), "expires is a time, this is %s", typeName(orText(p.typ)))
		return nil
	}
	s.ends, s.until = p, m
	return func(in core.Input) (time.Time, error) {
		r := m.start(in)
		defer m.done(r)
		v, err := p.value(r)
		if err != nil || v == nil {
			return time.Time{}, err
		}
		t, ok := v.(time.Time)
		if !ok {
			return t, &cellError{p.at, errors.New("expires is not a time")}
		}
		return t, nil
	}
}
