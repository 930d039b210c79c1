package draft

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// api is an OpenAPI 3.0 or 3.1, or a Swagger 2.0 file. References are followed in
// the file only.
type api struct {
	*plan
	file string
	root *doc
	old  bool // Swagger 2.0
	left int  // schemas that may still be opened
}

var methods = words("get post put patch delete")

// openAPI takes the operations of an OpenAPI file.
func (p *plan) openAPI(f File) error {
	root, err := readDescription(f.Data)
	if err != nil {
		return fmt.Errorf("%s:%w", f.Name, err)
	}
	a := &api{plan: p, file: path.Base(f.Name), root: root, left: 20_000}
	version := root.say("openapi")
	switch {
	case strings.HasPrefix(version, "3."):
	case strings.HasPrefix(root.say("swagger"), "2"):
		a.old = true
	case version != "":
		return fmt.Errorf("%s:%d: OpenAPI %s is not known; 3.0 and 3.1 are, and Swagger 2.0", f.Name, root.get("openapi").line, remark(version))
	default:
		return fmt.Errorf("%s:1: no OpenAPI file: it has neither openapi: nor swagger:", f.Name)
	}
	paths := root.get("paths")
	if paths == nil || len(paths.names) == 0 {
		return fmt.Errorf("%s:1: the file has no paths", f.Name)
	}
	e := p.entrance("rest")
	e.options = []entry{{key: "base", value: p.variable(e, "URL", a.base())}}
	for _, name := range paths.names {
		item := a.follow(paths.members[name])
		for _, m := range methods {
			if op := item.get(m); op != nil {
				a.operation(e, strings.ToUpper(m), name, item, op)
			}
		}
	}
	if len(e.offers) == 0 {
		return fmt.Errorf("%s:%d: no path has a method (%s)", f.Name, max(1, paths.line), strings.Join(methods, ", "))
	}
	a.secure(e)
	a.bodies(e)
	return nil
}

// base is an example of the address; requests go where the environment says.
func (a *api) base() string {
	url := ""
	if servers := a.root.get("servers"); servers != nil && len(servers.items) > 0 {
		url = servers.items[0].say("url")
	}
	if a.old {
		if host := a.root.say("host"); host != "" {
			url = "http://" + host
		}
		url += a.root.say("basePath")
	}
	if url = strings.TrimSuffix(url, "/"); !regexp.MustCompile(`^https?://[^\s{}]+$`).MatchString(url) {
		if !strings.HasPrefix(url, "/") || strings.ContainsAny(url, "{} ") {
			url = ""
		}
		url = "http://127.0.0.1:8080" + url
	}
	return url
}

// follow opens a reference within the file, as often as it takes.
func (a *api) follow(d *doc) *doc {
	for range 20 {
		ref := d.say("$ref")
		if ref == "" {
			return d
		}
		if d = a.target(ref); d == nil {
			return nil
		}
	}
	return nil
}

func (a *api) target(ref string) *doc {
	where, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		a.note("%s refers to %s, which is not in the file; put it in, or write what it is about by hand", a.file, ref)
		return nil
	}
	d := a.root
	for _, part := range strings.Split(where, "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~", "%7B", "{", "%7D", "}").Replace(part)
		if d = d.get(part); d == nil {
			a.note("%s refers to %s, which it does not have", a.file, ref)
			return nil
		}
	}
	return d
}

func (a *api) operation(e *entrance, method, where string, item, op *doc) {
	o := &Offer{Name: op.say("operationId"), Words: join(op.say("summary"), op.say("description")), Call: method + " " + where, Place: a.file, Sends: true, Answers: true}
	if op.line > 0 {
		o.Place = fmt.Sprintf("%s:%d", a.file, op.line)
	}
	if o.Name == "" {
		o.Name = pathName(where)
	}
	if method == "GET" && !strings.HasPrefix(strings.ToLower(o.Name), "get") {
		o.Name = "get " + o.Name
	}
	if o.Words != "" {
		o.Words = remark(o.Words)
	}
	var inPath []Field
	seen := map[string]bool{}
	parameters := func(d *doc) {
		if d == nil {
			return
		}
		for _, p := range d.items {
			p = a.follow(p)
			name := p.say("name")
			if name == "" || seen[p.say("in")+"/"+name] {
				continue
			}
			seen[p.say("in")+"/"+name] = true
			schema := p.get("schema")
			if schema == nil {
				schema = p
			}
			f := a.field(name, schema, nil)
			f.Bare, f.Optional = false, p.say("required") != "true" && p.say("in") != "path"
			if w := p.say("description"); w != "" {
				f.Words = w
			}
			switch p.say("in") {
			case "query":
				o.Query = append(o.Query, f)
			case "header":
				o.Headers = append(o.Headers, f)
			case "path":
				inPath = append(inPath, f)
			case "body":
				o.Send = a.fields(schema, nil)
			case "formData":
				o.Send = append(o.Send, f)
				e.option("content_type", "application/x-www-form-urlencoded", "as "+a.file)
			}
		}
	}
	parameters(op.get("parameters"))
	parameters(item.get("parameters"))
	if content := a.follow(op.get("requestBody")).get("content"); content != nil {
		kind, schema := contentOf(content)
		o.Send = a.fields(schema, nil)
		if kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data" {
			e.option("content_type", kind, "as "+a.file)
		}
	}
	if responses := op.get("responses"); responses != nil {
		for _, status := range append(slices.DeleteFunc(slices.Clone(responses.names), func(s string) bool { return !strings.HasPrefix(s, "2") }), "default") {
			r := a.follow(responses.get(status))
			if schema := r.get("schema"); schema != nil {
				o.Answer = a.fields(schema, nil)
				break
			}
			if content := r.get("content"); content != nil {
				_, schema := contentOf(content)
				o.Answer = a.fields(schema, nil)
				break
			}
		}
	}
	if len(o.Send) == 0 {
		o.envelope = e.sort("bare")
	}
	login := likeness{all: [][]string{words("login signin logon token auth authenticate 登录 令牌")}}
	if login.fits(o.Name) != nil && method == "POST" && !slices.ContainsFunc(e.offers, func(o *Offer) bool { return o.Login }) {
		o.Login, o.envelope = true, e.sort("login")
	}
	o.kind, o.why = "", ""
	if !o.Login {
		if o.kind, o.why = guessKind(o.Name, o.Words); o.kind == "" {
			o.kind, o.why = guessKind(pathName(where), "")
		}
	}
	a.inPath(o, method, where, inPath)
	e.add(o)
}

// prefix is a segment with which paths begin and that tells nothing of a transaction.
var prefix = regexp.MustCompile(`(?i)^(api|rest|restful|services?|openapi|open|gateway|v[0-9]+([._][0-9]+)*)$`)

// pathName is a path as a name: without versions and the like before what it is about.
func pathName(where string) string {
	segments := strings.Split(strings.Trim(strings.NewReplacer("{", "", "}", "").Replace(where), "/"), "/")
	for len(segments) > 1 && prefix.MatchString(segments[0]) {
		segments = segments[1:]
	}
	return strings.Join(segments, "/")
}

// inPath writes a call whose path has parameters.
func (a *api) inPath(o *Offer, method, where string, fields []Field) {
	if !strings.Contains(where, "{") || o.kind == "" {
		return
	}
	s := a.speak(o.kind)
	expression := text(method + " ")
	for where != "" {
		before, rest, ok := strings.Cut(where, "{")
		if before != "" {
			expression += " + " + text(before)
		}
		if !ok {
			break
		}
		name, after, _ := strings.Cut(rest, "}")
		where = after
		f := Field{Name: name}
		for _, g := range fields {
			if g.Name == name {
				f = g
			}
		}
		if name == "id" && f.Words == "" {
			f.Name = s.among[0].name
		}
		c, found := likely(f, s.among)
		if !found || c.is != isText {
			o.Words = join(o.Words, "its path is "+o.Call)
			o.Call = ""
			return
		}
		expression += " + url(" + s.noun + "." + c.name + ")"
	}
	o.Path = strings.Replace(expression, `" + "`, "", 1)
}

func contentOf(content *doc) (kind string, schema *doc) {
	for _, want := range []string{"json", "form", "xml", ""} {
		for _, name := range content.names {
			if strings.Contains(name, want) {
				return name, content.members[name].get("schema")
			}
		}
	}
	return "", nil
}

// fields are the properties of a schema of an object, or of the items of a list.
func (a *api) fields(schema *doc, in []string) []Field {
	f := a.field("", schema, in)
	if f.List {
		return []Field{{Name: "", List: true, Children: f.Children}}
	}
	return f.Children
}

func (a *api) field(name string, schema *doc, in []string) Field {
	f := Field{Name: name}
	if a.left--; schema == nil || a.left < 0 || len(in) > 8 {
		return f
	}
	if ref := schema.say("$ref"); ref != "" {
		if slices.Contains(in, ref) {
			f.Words = "holds itself (" + path.Base(ref) + ")"
			return f
		}
		return a.field(name, a.target(ref), append(slices.Clone(in), ref))
	}
	f.Type, f.Words = schema.say("type"), schema.say("description")
	if types := schema.get("type"); types != nil && len(types.items) > 0 { // 3.1: [string, "null"]
		f.Type = types.items[0].text
	}
	if f.Words == "" {
		f.Words = schema.say("title")
	}
	f.Bare = f.Type == "integer" || f.Type == "number" || f.Type == "boolean"
	if format := schema.say("format"); format == "date" || format == "date-time" || format == "int32" || format == "int64" {
		f.Type = format
	}
	if values := schema.get("enum"); values != nil {
		var all []string
		for _, v := range values.items {
			all = append(all, v.text)
		}
		f.Words = join(f.Words, "one of "+strings.Join(all, " "))
	}
	if example := schema.say("example"); example != "" {
		for _, l := range layouts {
			if l.form.MatchString(example) {
				f.Sample, f.Seen = example, true
			}
		}
	}
	required := map[string]bool{}
	if r := schema.get("required"); r != nil {
		for _, n := range r.items {
			required[n.text] = true
		}
	}
	if properties := schema.get("properties"); properties != nil {
		for _, n := range properties.names {
			child := a.field(n, properties.members[n], append(slices.Clone(in), "/"+n))
			child.Optional = !required[n]
			f.Children = append(f.Children, child)
		}
	}
	for _, word := range []string{"allOf", "oneOf", "anyOf"} {
		if all := schema.get(word); all != nil {
			for i, part := range all.items {
				if word != "allOf" && i > 0 {
					a.note("%s: %s of %q has %d choices; the first is drafted", a.file, word, name, len(all.items))
					break
				}
				inner := a.field(name, part, append(slices.Clone(in), "/"+word))
				f.Children = merged(f.Children, inner.Children)
				f.List = f.List || inner.List
				if f.Type == "" {
					f.Type, f.Bare = inner.Type, inner.Bare
				}
			}
		}
	}
	if items := schema.get("items"); items != nil {
		inner := a.field(name, items, append(slices.Clone(in), "/items"))
		f.List, f.Children, f.Bare = true, inner.Children, inner.Bare
	}
	return f
}

var tokenName = regexp.MustCompile(`(?i)token|auth|session`)

// secure writes the headers that the security schemes ask for.
func (a *api) secure(e *entrance) {
	schemes := a.root.get("components", "securitySchemes")
	if a.old {
		schemes = a.root.get("securityDefinitions")
	}
	if schemes == nil {
		return
	}
	login := slices.ContainsFunc(e.offers, func(o *Offer) bool { return o.Login })
	header := func(name, expression, why string) {
		if !slices.ContainsFunc(e.headers, func(h entry) bool { return h.key == keyOf(name) }) {
			e.headers = append(e.headers, entry{key: keyOf(name), value: cellOf(expression), note: why})
		}
	}
	for _, name := range schemes.names {
		s := a.follow(schemes.members[name])
		why := "security scheme " + name
		switch kind, scheme := s.say("type"), strings.ToLower(s.say("scheme")); {
		case kind == "apiKey" && s.say("in") == "header" && login && tokenName.MatchString(s.say("name")):
			header(s.say("name"), "session.token", why)
		case kind == "apiKey" && s.say("in") == "header":
			header(s.say("name"), "secret."+a.secret("api_key"), why)
		case kind == "http" && scheme == "bearer" && login:
			header("Authorization", `"Bearer " + session.token`, why)
		case kind == "http" && scheme == "bearer":
			header("Authorization", `"Bearer " + secret.`+a.secret("token"), why)
		case kind == "basic", kind == "http" && scheme == "basic":
			header("Authorization", `"Basic " + base64(secret.`+a.secret("user_and_password")+")", why+"; user:password")
		default:
			a.note("%s: the security scheme %s (%s) is not drafted; see sessions and write.headers", a.file, name, kind)
		}
	}
}

// bodies says how what is sent becomes text, and what comes is read.
func (a *api) bodies(e *entrance) {
	e.answer = "from_json(body)"
	if !slices.ContainsFunc(e.options, func(o entry) bool { return o.key == "content_type" }) {
		e.write = []entry{{key: "send", under: []entry{{key: "$json", value: "= body"}}}}
	}
}
