package tcp

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"hishub/core"
)

func listening(t *testing.T, options map[string]any) core.Listening {
	t.Helper()
	l, err := Listen(core.ListenerSpec{Options: with(map[string]any{"address": "127.0.0.1:0"}, options)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAListenerReadsAndWritesFrames(t *testing.T) {
	mllp := map[string]any{"framing": "mllp", "charset": "GB18030"}
	for name, c := range map[string]struct {
		options             map[string]any
		request, call, body string
		reply               string
	}{
		"hl7":               {mllp, "\x0bMSH|^~\\&|HIS|H1|||20260105||ADT^A04^ADT_A01|1\rPID|\xb2\xe2\r\x1c\r", "ADT^A04", "MSH|^~\\&|HIS|H1|||20260105||ADT^A04^ADT_A01|1\rPID|测\r", "\x0b\xb2\xe2\x1c\r"},
		"other separators":  {mllp, "\x0bMSH#*~\\&#HIS#H1#####ACK*X\n\x1c", "ACK^X", "MSH#*~\\&#HIS#H1#####ACK*X\n", "\x0b\xb2\xe2\x1c\r"},
		"one part":          {mllp, "\x0bMSH|^~\\&|||||||ACK\r\x1c\r", "ACK", "MSH|^~\\&|||||||ACK\r", "\x0b\xb2\xe2\x1c\r"},
		"a short head":      {mllp, "\x0bMSH|^~\\&|||\r\x1c\r", "", "MSH|^~\\&|||\r", "\x0b\xb2\xe2\x1c\r"},
		"no head":           {mllp, "\x0bMSH\x1c\r", "", "MSH", "\x0b\xb2\xe2\x1c\r"},
		"something else":    {eight, "00000004\xb2\xe2\xca\xd4", "", "测试", "00000002\xb2\xe2"},
		"recorded by hand":  {eight, "\xb2\xe2\xca\xd4", "", "测试", "00000002\xb2\xe2"},
		"nothing in a case": {eight, "00000000", "", "", "00000002\xb2\xe2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := listening(t, c.options).Wire
			a, err := w.Read(core.Incoming{Body: []byte(c.request)})
			body, _ := core.Text(a.Body)
			if err != nil || a.Call != c.call || body != c.body {
				t.Errorf("read %+v, %v", a, err)
			}
			out, err := w.Write(a, core.Reply{Body: "测"})
			if err != nil || string(out.Body) != c.reply {
				t.Errorf("wrote %q, %v", out.Body, err)
			}
		})
	}
	w := listening(t, eight).Wire
	if a, err := w.Read(core.Incoming{Body: []byte("00000004A|\xff\xff")}); err == nil || a.Body != "A|\ufffd\ufffd" || a.Call != "" {
		t.Errorf("read what is no text as %+v", a)
	}
	if out, err := w.Write(core.Arrival{}, core.Reply{Body: core.List{"一", "2"}}); err != nil || string(out.Body) != "00000002\xd2\xbb000000012" {
		t.Errorf("two texts: %q, %v", out.Body, err)
	}
	if out, err := w.Write(core.Arrival{}, core.Reply{Body: core.List{}}); err != nil || len(out.Body) != 0 || out.Status != 200 {
		t.Errorf("nothing to say: %+v, %v", out, err)
	}
	for name, r := range map[string]core.Reply{
		"a header":   {Body: "x", Headers: []core.Field{{Name: "a", Value: "b"}}},
		"a document": {Body: core.Tree{{Name: "a", Value: "b"}}},
		"too long":   {Body: "𠮷\xff"},
		"one of two": {Body: core.List{"1", core.Tree{{Name: "a", Value: "b"}}}},
	} {
		if out, err := w.Write(core.Arrival{}, r); err == nil {
			t.Errorf("%s was written as %q", name, out.Body)
		}
	}
	if out := w.Refuse(403, "words"); out.Body != nil {
		t.Errorf("a refusal says %q", out.Body)
	}
}

func TestNextReadsOneRequestAfterTheOther(t *testing.T) {
	stream := listening(t, eight).Wire.(core.Stream)
	r := bufio.NewReader(strings.NewReader("00000001a00000002bc00000009x"))
	for _, want := range []string{"00000001a", "00000002bc"} {
		if got, err := stream.Next(r, 5); err != nil || string(got) != want {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if _, err := stream.Next(r, 5); err == nil || !strings.Contains(err.Error(), "max_request") {
		t.Error(err)
	}
	if _, err := stream.Next(bufio.NewReader(strings.NewReader("")), 5); err != io.EOF {
		t.Error(err)
	}
}

func TestOptionsOfAListener(t *testing.T) {
	own := newPair(t, "hub.example")
	secured := map[string]any{"cert": own.cert, "key": own.key}
	for name, c := range map[string]struct {
		options map[string]any
		want    string
	}{
		"no address":     {map[string]any{"framing": "mllp", "address": ""}, "address: empty"},
		"every address":  {map[string]any{"framing": "mllp", "address": ":6661"}, "address: not an address"},
		"no framing":     {map[string]any{}, "framing: missing"},
		"client":         {map[string]any{"framing": "mllp", "client": "his.example"}, "client: there is no certificate"},
		"client, no ca":  {map[string]any{"framing": "mllp", "client": "his.example", "tls": secured}, "client: there is no certificate"},
		"no certificate": {map[string]any{"framing": "mllp", "tls": map[string]any{"key": own.key}}, "tls.cert: does not form a pair"},
		"a kind of HTTP": {map[string]any{"framing": "mllp", "content_type": "text/xml"}, "content_type: no such option"},
	} {
		_, err := Listen(core.ListenerSpec{Options: with(map[string]any{"address": "127.0.0.1:1"}, c.options)})
		var ps core.Problems
		if !errors.As(err, &ps) || !strings.HasPrefix(ps[0].Field+": "+ps[0].What, c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	l := listening(t, map[string]any{"framing": "mllp", "client": "his.example", "tls": with(secured, map[string]any{"ca": own.cert})})
	if l.TLS == nil || l.TLS.ClientCAs == nil || l.Address != "127.0.0.1:0" {
		t.Errorf("%+v", l)
	}
}
