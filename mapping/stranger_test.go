package mapping

import (
	"errors"
	"strings"
	"testing"

	"hishub/core"
)

// strangers is the test's listener with words for what is none of its calls.
func strangers(reply string) string {
	return strings.Replace(listening, "    outcome:\n", "    reply: "+reply+"\n    outcome:\n", 1)
}

// What no operation is called like is answered in the dialect where the envelope
// says how, and by nobody where it does not have what the words need.
func TestWhatIsNoneOfTheCallsIsAnswered(t *testing.T) {
	files := inboundFolder()
	files["hospital.yaml"].Data = []byte(strangers(`{of: '= request.serial + "!"', why: = const.org}`))
	l := doorOf(t, files)
	unknown := core.Resolution{State: core.ResultInvalid, Message: "报文不正确"}
	for name, c := range map[string]struct {
		text, reply string
	}{
		"another call":  {strings.Replace(applied, "refundApply", "strange", 1), "<response><code>9</code><words>报文不正确</words><echo>77</echo><of>77!</of><why>H1</why></response>"},
		"no call":       {"<request><serial>5</serial></request>", "<response><code>9</code><words>报文不正确</words><echo>5</echo><of>5!</of><why>H1</why></response>"},
		"another shape": {"<other/>", ""}, // the words need a serial
		"no XML":        {"<request", ""},
	} {
		o := l.Door.Open(core.Arrival{Call: "POST /", Body: c.text}, core.Stamp{})
		if o.Kind != "" || o.Err == nil {
			t.Errorf("%s: opened as %q, %v", name, o.Kind, o.Err)
		}
		reply, err := l.Door.Reply(o, unknown, core.Stamp{})
		if c.reply == "" {
			if err == nil || strings.Contains(err.Error(), "request<") {
				t.Errorf("%s: answered %v, %v", name, reply.Body, err)
			}
		} else if err != nil || reply.Body != c.reply {
			t.Errorf("%s: answered %v, %v, want %s", name, reply.Body, err, c.reply)
		}
	}
	// A call that is known has its own words, not these.
	o := l.Door.Open(signed(applied, "forged"), core.Stamp{})
	if reply, err := l.Door.Reply(o, unknown, core.Stamp{}); err != nil || !strings.HasPrefix(reply.Body.(string), "<response><code>9</code><words>报文不正确</words><echo>77</echo><refundNo>") {
		t.Errorf("a known call is answered %v, %v", reply.Body, err)
	}
}

func TestMistakesInTheReplyToStrangers(t *testing.T) {
	for name, c := range map[string]struct{ hospital, want string }{
		"no listener has it": {strings.Replace(listening, "envelopes:\n", "envelopes:\n  default: {reply: {a: 1}, outcome: {ok: \"true\"}}\n", 1), "reply is for envelopes of listeners, and none has the envelope \"default\""},
		"a message":          {strings.Replace(listening, "    outcome:\n", "    reply: {a: = refund.his_refund_no}\n    outcome:\n", 1), "refund is not visible here: the envelope's reply answers what is no message"},
		"an answer":          {strings.Replace(listening, "    outcome:\n", "    reply: {a: = result.answer.number}\n    outcome:\n", 1), "result.answer is a record, it has no fields"},
	} {
		files := inboundFolder()
		files["hospital.yaml"].Data = []byte(c.hospital)
		_, err := Load(files, Options{Env: func(string) (string, bool) { return "s3cret", true }})
		var mistakes Mistakes
		if !errors.As(err, &mistakes) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}
