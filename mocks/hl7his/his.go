// Package hl7his is the fake hospital 和平: HL7 v2.4 over MLLP, in GB18030, that
// also calls the platform with HL7 messages.
package hl7his

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/books"
	"hishub/mocks/control"
	"hishub/mocks/fault"
)

// Options of the hospital; the zero value is its original behaviour on free ports.
type Options struct {
	Listen  string        // "127.0.0.1:0"
	Control string        // "127.0.0.1:0"
	Latency time.Duration // how long each request takes to be served
	Seed    uint64
	Repeats books.Repeats // books.Refuse
	Inquiry string        // "truthful", or "none": the status questions are not there
	Ends    string        // what ends a segment of the answers; "\r"

	// Hub is where the platform listens, "host:port"; "" until SetHub or a push
	// names it.
	Hub string
}

func (o Options) filled() (Options, error) {
	o.Listen = cmp.Or(o.Listen, "127.0.0.1:0")
	o.Control = cmp.Or(o.Control, "127.0.0.1:0")
	o.Repeats = cmp.Or(o.Repeats, books.Refuse)
	o.Inquiry = cmp.Or(o.Inquiry, "truthful")
	o.Ends = cmp.Or(o.Ends, "\r")
	if err := o.Repeats.Check(); err != nil {
		return o, err
	}
	if o.Inquiry != "truthful" && o.Inquiry != "none" {
		return o, fmt.Errorf("inquiry %q: want truthful or none", o.Inquiry)
	}
	return o, nil
}

// HIS is the running hospital.
type HIS struct {
	*control.Site
	options Options
	books   *books.Books
	script  *fault.Script
	pushes  *pushes
}

// Start opens the hospital and its control port. It runs until Close; the
// context only bounds the start.
func Start(_ context.Context, options Options) (*HIS, error) {
	options, err := options.filled()
	if err != nil {
		return nil, fmt.Errorf("hl7his: %w", err)
	}
	h := &HIS{options: options, books: books.New(options.Repeats), script: fault.NewScript(options.Seed, fault.StreamKinds)}
	h.books.Admit(books.Known)
	h.pushes = newPushes(h)
	lines, err := fault.OpenLines(options.Listen, h.serve, h.script)
	if err != nil {
		return nil, fmt.Errorf("hl7his: %w", err)
	}
	h.Site, err = control.Join(lines, options.Control, h.books, h.script, h.pushes.patterns())
	if err != nil {
		return nil, fmt.Errorf("hl7his: %w", err)
	}
	return h, nil
}

// Close cuts what is in flight.
func (h *HIS) Close() error {
	h.pushes.cancel()
	return h.Site.Close()
}

const (
	begin = 0x0b
	end   = 0x1c
	most  = 1 << 20 // bytes of a message
)

// heard reads the next frame; the byte after its end may be missing.
func heard(r *bufio.Reader) ([]byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		if b == begin {
			break
		}
	}
	var text []byte
	for {
		b, err := r.ReadByte()
		switch {
		case err != nil:
			return nil, err
		case b == end:
			return text, nil
		case len(text) == most:
			return nil, errors.New("the message is too large")
		}
		text = append(text, b)
	}
}

// framed is a text as it goes, in GB18030.
func framed(text string) []byte {
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text))
	if err != nil {
		b = []byte(text)
	}
	return append(append([]byte{begin}, b...), end, '\r')
}

// decode reads GB18030; ok is false for bytes that are none.
func decode(b []byte) (string, bool) {
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	return string(text), err == nil && !bytes.ContainsRune(text, '�')
}

// serve answers the messages of one connection, one after the other.
func (h *HIS) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		frame, err := heard(r)
		if err != nil || !h.answer(conn, frame) {
			return
		}
	}
}

func (h *HIS) answer(conn net.Conn, frame []byte) bool {
	text, legible := decode(frame)
	m, err := parse(text)
	if err != nil {
		return false // without an MSH there is nobody to answer
	}
	msh := m.first("MSH")
	name, op := operationOf(m)
	// Enhanced mode: who asks for it hears first that the message came, and what
	// became of it only if that is asked for too.
	write := func(r reply) []byte {
		frame := framed(h.document(m, r))
		if msh.text(15) != "AL" || r.code == "CA" {
			return frame
		}
		first := framed(h.document(m, reply{code: "CA"}))
		if msh.text(16) == "NE" {
			return first
		}
		return append(first, frame...)
	}
	wrong := ""
	switch {
	case !legible:
		wrong = "字符集错误"
	case op == nil:
		wrong = "不支持的消息类型"
	case msh.text(10) == "":
		wrong = "缺少消息控制ID"
	}
	if wrong != "" {
		h.books.Note(name, "", "refused: "+wrong, "")
		_, err := conn.Write(write(reply{code: "AR", wrong: "MSH^1^9^200", words: wrong}))
		return err == nil
	}
	key := op.key(m)
	note := func(effect string, kind fault.Kind) { h.books.Note(name, key, effect, string(kind)) }
	return h.script.Speak(conn, fault.Exchange{
		Operation: name, Key: key, Latency: h.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			r := op.act(h, m)
			if op.inquiry && h.options.Inquiry == "none" {
				r = refuse("QPD^1^1^200", "未开通此查询")
			}
			if kind == fault.DuplicateAnswer && r.effect == string(books.Done) {
				r.code, r.wrong, r.words = "AE", duplicate, "重复的业务主键"
			}
			note(r.effect, kind)
			return fault.Answer{Body: write(r)}
		},
		Busy: func() fault.Answer {
			return fault.Answer{Body: write(reply{code: "AR", wrong: "MSH^1^10^206", words: "系统繁忙，请稍后再试"})}
		},
		Reject: func() fault.Answer { return fault.Answer{Body: write(refuse("ORC^1^1^207", fault.RejectWords))} },
		// Received and stored; what becomes of it is asked for.
		Crash:  func() fault.Answer { return fault.Answer{Body: write(reply{code: "CA"})} },
		Recode: recode,
		Idle:   fault.Idle(note),
	})
}

// recode puts an answer into UTF-8, whatever its MSH-18 says.
func recode(frame []byte) []byte {
	text, _ := decode(frame)
	return []byte(text)
}
