package player

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"hishub/connectors"
	"hishub/connectors/charset"
	"hishub/connectors/soap"
	"hishub/core"
	"hishub/mocks/fault"
)

// writtenConnector is a connector as hospital.yaml has it.
type writtenConnector struct {
	name, kind string
	address    string // as written, with its ${NAME}
	tls        bool
}

// addressOption is where each kind that can be played has its address.
var addressOption = map[string]string{"soap": "endpoint", "rest": "base", "tcp": "address"}

// readConnectors reads the connectors before the folder can be loaded: its
// addresses are not known yet.
func readConnectors(folder fs.FS) ([]writtenConnector, error) {
	data, err := fs.ReadFile(folder, "hospital.yaml")
	if err != nil {
		return nil, errors.New("the folder has no hospital.yaml that can be read")
	}
	var hospital struct {
		Connectors yaml.MapSlice `yaml:"connectors"`
	}
	if err := yaml.Unmarshal(data, &hospital); err != nil {
		return nil, fmt.Errorf("hospital.yaml: %s", yaml.FormatError(err, false, false))
	}
	var out []writtenConnector
	for _, c := range hospital.Connectors {
		w := writtenConnector{name: fmt.Sprint(c.Key)}
		kinds, _ := c.Value.(map[string]any)
		for kind, v := range kinds {
			options, _ := v.(map[string]any)
			w.kind = kind
			w.address = fmt.Sprint(options[addressOption[kind]])
			_, w.tls = options["tls"]
		}
		out = append(out, w)
	}
	if len(out) == 0 {
		return nil, errors.New("hospital.yaml has no connectors")
	}
	return out, nil
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// ErrDatabase is a folder that reaches its HIS over a database.
var ErrDatabase = errors.New(`a database cannot be played from the folder: its tables and procedures are the hospital's, not the folder's. Use the hospital's own test database, or one of the fake database HISs (hishub mock db, hishub mock proc) to see how such folders work`)

// openPorts opens the entrances, and finds the variables that lead to them.
func (p *Player) openPorts(written []writtenConnector) error {
	host, first, err := splitPort(p.options.Listen)
	if err != nil {
		return err
	}
	next := func() string {
		address := net.JoinHostPort(host, strconv.Itoa(first))
		if first != 0 {
			first++
		}
		return address
	}
	web := "" // all connectors over HTTP share a port
	for _, w := range written {
		e := &entrance{name: w.name, kind: w.kind}
		switch w.kind {
		case "soap", "rest":
			if web == "" {
				door, err := fault.OpenDoor(next(), http.HandlerFunc(p.serveHTTP), p.script)
				if err != nil {
					return err
				}
				p.doors = append(p.doors, door)
				web = door.Addr()
			}
			if err := p.leadHTTP(e, w, web); err != nil {
				return err
			}
		case "tcp":
			if w.tls {
				return fmt.Errorf("the connector %s speaks TLS, which takes a certificate that the folder trusts: play a copy of the folder without tls", w.name)
			}
			port, err := fault.Listen(next(), p.script)
			if err != nil {
				return err
			}
			p.doors = append(p.doors, port)
			e.address = port.Addr().String()
			if err := p.lead(w, e.address, ""); err != nil {
				return err
			}
		case "db":
			return fmt.Errorf("the connector %s: %w", w.name, ErrDatabase)
		default:
			return fmt.Errorf("the connector %s is of the kind %q, which cannot be played", w.name, w.kind)
		}
		p.entrance = append(p.entrance, e)
	}
	return nil
}

func splitPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		return "", 0, fmt.Errorf("listen on %q: write an address like 127.0.0.1:7070", address)
	}
	return host, port, nil
}

// leadHTTP keeps the path of an address that is set, so that the requests are those
// that the HIS would get.
func (p *Player) leadHTTP(e *entrance, w writtenConnector, at string) error {
	path := ""
	if m := variable.FindStringSubmatch(w.address); m != nil && m[0] == w.address {
		if v, ok := p.options.Env(m[1]); ok {
			if u, err := url.Parse(v); err == nil && u.Host != "" {
				path = u.EscapedPath()
			}
		}
	}
	e.address = "http://" + at + path
	if err := p.lead(w, "http://"+at, path); err != nil {
		return err
	}
	whole := variable.ReplaceAllStringFunc(w.address, func(name string) string { return p.vars[name[2:len(name)-1]] })
	if u, err := url.Parse(whole); err == nil {
		e.path = strings.TrimSuffix(u.Path, "/")
		e.address = whole
	}
	return nil
}

// lead finds the variable that makes an address the player's.
func (p *Player) lead(w writtenConnector, at, path string) error {
	option := addressOption[w.kind]
	names := variable.FindAllStringSubmatch(w.address, -1)
	cure := fmt.Sprintf("write %s: \"${NAME}\" and set the variable, so that the folder can be led elsewhere", option)
	if len(names) == 0 {
		return fmt.Errorf("the connector %s has its %s written out: %s", w.name, option, cure)
	}
	first := names[0][0]
	before, after, _ := strings.Cut(w.address, first)
	var value string
	switch {
	case before == "" && after == "":
		value = at + path
	case before == "" && strings.HasPrefix(after, "/") && len(names) == 1:
		value = at
	case before == "http://" && (after == "" || strings.HasPrefix(after, "/")) && len(names) == 1:
		value = strings.TrimPrefix(at, "http://")
	case before == "http://" && strings.HasPrefix(after, ":${") && len(names) == 2:
		host, port, _ := net.SplitHostPort(strings.TrimPrefix(at, "http://"))
		value, p.vars[names[1][1]] = host, port
	case w.kind == "tcp" && before == "" && strings.HasPrefix(after, ":${") && len(names) == 2:
		host, port, _ := net.SplitHostPort(at)
		value, p.vars[names[1][1]] = host, port
	default:
		return fmt.Errorf("the %s of the connector %s cannot be led to the player: %s", option, w.name, cure)
	}
	if was, twice := p.vars[names[0][1]]; twice && was != value {
		return fmt.Errorf("the connectors share ${%s}, which cannot lead to two entrances: give each a variable of its own", names[0][1])
	}
	p.vars[names[0][1]] = value
	return nil
}

type charsetReader = *charset.Charset

// furnish makes the entrance read what its connector writes.
func (e *entrance) furnish(spec core.ConnectorSpec) error {
	name, _ := spec.Options["charset"].(string)
	if name == "" {
		name = "UTF-8"
	}
	text, err := charset.New(name, "refuse")
	if err != nil {
		return err
	}
	e.text = text
	options := map[string]any{}
	take := func(names ...string) {
		for _, n := range names {
			if v, ok := spec.Options[n]; ok {
				options[n] = v
			}
		}
	}
	take("charset", "unencodable")
	switch e.kind {
	case "soap":
		e.wire, err = soap.Opposite(spec)
		return err
	case "tcp":
		take("framing")
		options["address"] = "127.0.0.1:1"
	}
	l, err := connectors.Listen(core.ListenerSpec{Name: e.name, Kind: e.kind, Options: options, Files: spec.Files})
	if err != nil {
		return err
	}
	e.wire = l.Wire
	return nil
}
