package tcp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hishub/core"
)

// his is a HIS whose answers a test words byte by byte.
type his struct {
	*testing.T
	framing *Framing
	options map[string]any
	// accepted and acted count connections and requests; most is how many
	// connections were open at once.
	accepted, acted, inside, most atomic.Int64
}

// opened is a HIS and a connector to it. answer gets each request with its
// number on the connection, from 1; false ends the connection.
func opened(t *testing.T, options map[string]any, answer func(h *his, c net.Conn, request string, n int) bool) (*his, *Connector) {
	t.Helper()
	h := &his{T: t, framing: framingOf(t, options), options: options}
	address := serve(t, func(c net.Conn) {
		h.accepted.Add(1)
		h.most.Store(max(h.most.Load(), h.inside.Add(1)))
		defer h.inside.Add(-1)
		r := bufio.NewReader(c)
		for n := 1; ; n++ {
			f, err := h.framing.read(r, 1<<20)
			if err != nil {
				return
			}
			h.acted.Add(1)
			text, err := h.framing.charset.Decode(f.content())
			if err != nil {
				t.Error(err)
			}
			if !answer(h, c, text, n) {
				return
			}
		}
	})
	c := open(t, with(options, map[string]any{"address": address}))
	t.Cleanup(func() { c.Close() })
	return h, c
}

// framed are the bytes of a text.
func (h *his) framed(text string) []byte {
	b, err := h.framing.Write(text)
	if err != nil {
		h.Error(err)
	}
	return b
}

// echo answers with the request.
func echo(h *his, c net.Conn, request string, _ int) bool {
	_, err := c.Write(h.framed(request))
	return err == nil
}

// reset ends a connection as a HIS does that dies.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

func ask(text string) core.Request { return core.Request{Operation: "echo", Body: text} }

func works(t *testing.T, c *Connector, text string) core.Response {
	t.Helper()
	r, err := c.Call(t.Context(), ask(text))
	if err != nil || r.Body != text {
		t.Fatalf("asked for %q, got %v, %v", text, r.Body, err)
	}
	return r
}

func fails(t *testing.T, c *Connector, q core.Request, class core.Class, want string) core.Response {
	t.Helper()
	r, err := c.Call(t.Context(), q)
	if core.ClassOf(err) != class || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v\nmust be %s and say %q", err, class, want)
	}
	if err != nil && strings.Contains(err.Error(), "测试") {
		t.Errorf("the error shows what came: %v", err)
	}
	return r
}

var eight = map[string]any{"framing": counted(map[string]any{"digits": 8}), "charset": "GB18030"}

func TestWhatIsNoWholeAnswerIsInDoubt(t *testing.T) {
	chars := map[string]any{"framing": counted(map[string]any{"digits": 4, "counts": "chars"}), "charset": "GB18030"}
	for name, c := range map[string]struct {
		options  map[string]any
		received string
		want     string
	}{
		"nothing":                     {eight, "", "closed before a whole answer"},
		"half a length":               {eight, "0000", "closed before a whole answer"},
		"half a text":                 {eight, "00000008\xb2\xe2\xca", "closed before a whole answer"},
		"a length that says too much": {eight, "00000009\xb2\xe2\xca\xd4", "closed before a whole answer"},
		"a length that says too few":  {eight, "00000002\xb2\xe2\xca\xd4", "more follows it; is its length right?"},
		"no length":                   {eight, "<Response>测试</Response>", "where its length belongs stands no number"},
		"another charset":             {eight, "00000006\xe6\xb5\x8b\xe8\xaf\xff", "not text in GB18030"},
		"characters said, bytes sent": {chars, "0004\xb2\xe2\xca\xd4", "closed before a whole answer"},
		"bytes said, characters sent": {with(chars, map[string]any{"framing": counted(map[string]any{"digits": 4})}), "0002\xb2\xe2\xca\xd4", "more follows it"},
		"two answers at once":         {eight, "00000002ok00000002ok", "more follows it"},
		"half an mllp frame":          {map[string]any{"framing": "mllp"}, "\x0bMSH|测试", "closed before a whole answer"},
		"outside an mllp frame":       {map[string]any{"framing": "mllp"}, "MSH|测试\x1c\r", "data stands outside a frame"},
		"an mllp frame and more":      {map[string]any{"framing": "mllp"}, "\x0bMSH|测试\x1c\r\n", "more follows it"},
	} {
		t.Run(name, func(t *testing.T) {
			h, x := opened(t, c.options, func(_ *his, on net.Conn, _ string, _ int) bool {
				io.WriteString(on, c.received)
				return false
			})
			r := fails(t, x, ask("测试"), core.InDoubt, c.want)
			if got := string(r.Received); !strings.HasPrefix(c.received, got) || len(c.received) > 0 && got == "" {
				t.Errorf("%q came, %q is shown", c.received, got)
			}
			if h.acted.Load() != 1 {
				t.Errorf("the HIS was asked %d times", h.acted.Load())
			}
		})
	}
}

func TestAnAnswerInPieces(t *testing.T) {
	for name, options := range dialects {
		t.Run(name, func(t *testing.T) {
			_, c := opened(t, options, func(h *his, on net.Conn, request string, _ int) bool {
				for _, b := range h.framed(request) {
					if _, err := on.Write([]byte{b}); err != nil {
						return false
					}
				}
				return true
			})
			for _, text := range []string{"张三测试𠮷", "", "x"} {
				works(t, c, text)
			}
		})
	}
}

func TestAResetAfterTheHISActedIsInDoubt(t *testing.T) {
	h, c := opened(t, with(eight, map[string]any{"timeout": "20s"}), func(h *his, on net.Conn, request string, n int) bool {
		if request == "die" {
			reset(on)
			return false
		}
		return echo(h, on, request, n)
	})
	works(t, c, "a") // so that the line is one that was kept
	fails(t, c, ask("die"), core.InDoubt, "closed before a whole answer")
	works(t, c, "b")
	if h.acted.Load() != 3 {
		t.Errorf("the HIS acted %d times for 3 calls", h.acted.Load())
	}
}

// The answer to a request that timed out comes while the next one is under way.
func TestALateAnswerIsNobodysAnswer(t *testing.T) {
	gaveUp, late := make(chan struct{}), make(chan struct{})
	h, c := opened(t, eight, func(h *his, on net.Conn, request string, n int) bool {
		if request == "slow" {
			<-gaveUp
			on.Write(h.framed("slow"))
			close(late)
			return true
		}
		<-late
		return echo(h, on, request, n)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.Call(ctx, ask("slow"))
	if core.ClassOf(err) != core.InDoubt || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	close(gaveUp)
	works(t, c, "next")
	if h.accepted.Load() != 2 {
		t.Errorf("%d connections, must be 2: what timed out is closed", h.accepted.Load())
	}
}

// A second answer that comes after the first one was taken.
func TestASecondAnswerIsNobodysAnswer(t *testing.T) {
	again, said := make(chan struct{}), make(chan struct{})
	h, c := opened(t, eight, func(h *his, on net.Conn, request string, n int) bool {
		echo(h, on, request, n)
		if request == "twice" {
			<-again
			on.Write(h.framed("twice"))
			close(said)
		}
		return true
	})
	works(t, c, "twice")
	close(again)
	<-said
	works(t, c, "next")
	if h.accepted.Load() != 2 {
		t.Errorf("%d connections, must be 2", h.accepted.Load())
	}
}

// A HIS that takes the beginning of a request and dies: some of it left.
func TestARequestThatLeftInPartIsInDoubt(t *testing.T) {
	address := serve(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, 100))
		reset(c)
	})
	c := open(t, with(eight, map[string]any{"address": address}))
	defer c.Close()
	fails(t, c, ask(strings.Repeat("测", 20<<20)), core.InDoubt, "closed before a whole answer")
}

func TestRequestsThatCannotBeSaid(t *testing.T) {
	c := open(t, map[string]any{"address": "127.0.0.1:1", "framing": counted(map[string]any{"digits": 2})})
	defer c.Close()
	field := []core.Field{{Name: "a", Value: "b"}}
	for name, x := range map[string]struct {
		q    core.Request
		want string
	}{
		"headers":    {core.Request{Headers: field}, "neither headers nor a query"},
		"query":      {core.Request{Query: field}, "neither headers nor a query"},
		"a document": {core.Request{Body: core.Tree(field)}, "write send: {$xml: ...}"},
		"a list":     {core.Request{Body: core.List{"a"}}, "write send: {$xml: ...}"},
		"too long":   {ask(strings.Repeat("x", 100)), "more than a length of 2 digits can say"},
	} {
		t.Run(name, func(t *testing.T) {
			fails(t, c, x.q, core.Invalid, x.want)
			if _, err := c.Write(x.q); core.ClassOf(err) != core.Invalid {
				t.Error(err)
			}
		})
	}
}

func TestReadRecorded(t *testing.T) {
	mllp := map[string]any{"framing": "mllp"}
	for name, c := range map[string]struct {
		options  map[string]any
		recorded string
		want     string // "" is in doubt
	}{
		"a frame":              {eight, "00000004\xb2\xe2\xca\xd4", "测试"},
		"only the text":        {eight, "\xb2\xe2\xca\xd4", "测试"},
		"a text of digits":     {eight, "0000000412", "0000000412"},
		"an mllp frame":        {mllp, "\x0bMSH|\r\x1c\r", "MSH|\r"},
		"without its last one": {mllp, "\x0bMSH|\r\x1c", "MSH|\r"},
		"only the message":     {mllp, "MSH|\r", "MSH|\r"},
		"a broken frame":       {mllp, "\x0bMSH|\r", ""},
		"a frame and more":     {mllp, "\x0bMSH|\r\x1c\r\n", ""},
		"another charset":      {eight, "\xff\xff", ""},
	} {
		t.Run(name, func(t *testing.T) {
			x := open(t, with(c.options, map[string]any{"address": "127.0.0.1:1"}))
			r, err := x.Read(ask(""), []byte(c.recorded))
			if c.want == "" {
				if core.ClassOf(err) != core.InDoubt || err == nil {
					t.Errorf("read %v, %v", r.Body, err)
				}
			} else if err != nil || r.Body != c.want || string(r.Received) != c.recorded {
				t.Errorf("read %v, %v", r.Body, err)
			}
		})
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	for name, c := range map[string]struct {
		options map[string]any
		want    string
	}{
		"no framing":        {map[string]any{}, "framing: missing"},
		"another word":      {map[string]any{"framing": "mlpp"}, "framing: not mllp"},
		"a number":          {map[string]any{"framing": 6}, "framing: not a map"},
		"neither":           {map[string]any{"framing": map[string]any{"prefix": "x"}}, "framing.length: missing"},
		"both":              {map[string]any{"framing": map[string]any{"end": "x", "length": map[string]any{"digits": 2}}}, "framing.end: a text ends by"},
		"suffix of an end":  {map[string]any{"framing": map[string]any{"end": "x", "suffix": "y"}}, "framing.suffix: "},
		"no end in it":      {map[string]any{"framing": map[string]any{"end_in_text": true, "length": map[string]any{"digits": 2}}}, "framing.end_in_text: "},
		"no digits":         {map[string]any{"framing": counted(map[string]any{})}, "framing.length.digits: how many"},
		"too many digits":   {map[string]any{"framing": counted(map[string]any{"digits": 19})}, "framing.length.digits: how many"},
		"bytes of decimal":  {map[string]any{"framing": counted(map[string]any{"digits": 2, "bytes": 4})}, "framing.length.bytes: is for base: binary"},
		"digits of binary":  {map[string]any{"framing": counted(map[string]any{"base": "binary", "digits": 2, "bytes": 4})}, "framing.length.digits: is for base: decimal"},
		"three bytes":       {map[string]any{"framing": counted(map[string]any{"base": "binary", "bytes": 3})}, "framing.length.bytes: base: binary has 1, 2, 4 or 8"},
		"order of digits":   {map[string]any{"framing": counted(map[string]any{"digits": 2, "order": "big"})}, "framing.length.order: is for base: binary"},
		"a word that ends":  {map[string]any{"framing": map[string]any{"end": "𠮷"}, "charset": "GBK"}, "framing.end: GBK has no character U+20BB7"},
		"no port":           {map[string]any{"framing": "mllp", "address": "10.1.2.3"}, "address: not an address"},
		"a URL":             {map[string]any{"framing": "mllp", "address": "tcp://10.1.2.3:80"}, "address: not an address"},
		"misspelt":          {map[string]any{"framing": counted(map[string]any{"digts": 2})}, "framing.length.digts: no such option; did you mean digits?"},
		"unknown character": {map[string]any{"framing": "mllp", "charset": "KLINGON"}, "charset: not one of"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(core.ConnectorSpec{Options: with(map[string]any{"address": "127.0.0.1:1"}, c.options)})
			var ps core.Problems
			if !errors.As(err, &ps) {
				t.Fatalf("opened, or %v", err)
			}
			var all []string
			for _, p := range ps {
				all = append(all, p.Field+": "+p.What)
			}
			if !strings.Contains("\n"+strings.Join(all, "\n"), "\n"+c.want) {
				t.Errorf("got %q\nmust say %q", all, c.want)
			}
		})
	}
}

// An answer that is only a receipt is put aside; what follows it is the answer.
func TestAReceiptComesFirst(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const received, done = "\x0bMSA|CA|1\r\x1c\r", "\x0bMSA|AA|1\r\x1c\r"
	says := make(chan []string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(conn)
			for {
				if _, err := r.ReadString('\x1c'); err != nil {
					break
				}
				for _, part := range <-says {
					_, _ = conn.Write([]byte(part))
				}
			}
		}
	}()
	c, err := Open(core.ConnectorSpec{Options: map[string]any{"address": l.Addr().String(), "framing": "mllp", "receipt": "MSA|CA|", "timeout": "300ms"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, x := range map[string]struct {
		says []string
		body core.Value // nil: in doubt
	}{
		"both":              {[]string{received, done}, "MSA|AA|1\r"},
		"in pieces":         {[]string{received[:5], received[5:] + done[:3], done[3:]}, "MSA|AA|1\r"},
		"the answer alone":  {[]string{done}, "MSA|AA|1\r"},
		"the receipt alone": {[]string{received}, nil},
		"more than both":    {[]string{received + done + done}, nil},
		"two receipts":      {[]string{received + received}, "MSA|CA|1\r"},
	} {
		says <- x.says
		r, err := c.Call(t.Context(), core.Request{Body: "MSH"})
		var f *core.Fault
		if x.body == nil && (!errors.As(err, &f) || f.Class != core.InDoubt) || x.body != nil && (err != nil || r.Body != x.body) {
			t.Errorf("%s: %v, %v", name, r.Body, err)
		}
		if !strings.HasPrefix(strings.Join(x.says, ""), string(r.Received)) || len(r.Received) == 0 {
			t.Errorf("%s: received %q", name, r.Received)
		}
	}
	off := c.(core.Offline)
	for answer, want := range map[string]core.Value{received + done: "MSA|AA|1\r", done: "MSA|AA|1\r", "MSA|AA|1\r": "MSA|AA|1\r", received: nil, received + "\x0bMSA": nil} {
		r, err := off.Read(core.Request{}, []byte(answer))
		if (err == nil) != (want != nil) || err == nil && r.Body != want {
			t.Errorf("%q is read as %v, %v", answer, r.Body, err)
		}
	}
}
