package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"hishub/core"
)

// print writes a try for people, from the message to what becomes of it.
func (t *tried) print(w io.Writer) {
	if t.Inbound != nil {
		t.Inbound.print(w, t)
		return
	}
	section(w, fmt.Sprintf("message: %s of %s", t.Kind, t.Hospital), pretty(t.Message))
	for i, x := range t.Exchanges {
		if len(t.Exchanges) > 1 {
			fmt.Fprintf(w, "\nstep %d: %s\n", i+1, x.Name)
		}
		x.print(w)
	}
	t.Step.print(w)
}

func (x *triedExchange) print(w io.Writer) {
	fmt.Fprintln(w)
	if x.Operation != "" {
		fmt.Fprintf(w, "operation: %s over %s (%s)\n", x.Operation, x.Connector, x.Transport)
	}
	if x.SessionMadeUp {
		fmt.Fprintln(w, "the session is made up: a login gives the real one")
	}
	if x.Exchanges > 1 {
		fmt.Fprintf(w, "%d exchanges, for a session that was renewed or further pages; the last:\n", x.Exchanges)
	}
	x.Document.print(w, "document")
	printValues(w, "values", x.Values)
	printValues(w, "headers", x.Headers)
	printValues(w, "query", x.Query)
	if x.Send != nil && (x.Document == nil || x.Send.Text != x.Document.Text) {
		x.Send.print(w, "send")
	}
	x.Wire.print(w, "wire")
	x.Sent.print(w, "sent, which differs each time")
	if x.Error != "" {
		fmt.Fprintf(w, "\ncannot be said: %s\n", x.Error)
		return
	}
	x.Answer.print(w, "answer")
	printValues(w, "read", x.Read)
	x.AnswerTree.print(w, "answer, as rules see it")
	if x.Verdict != nil {
		printRules(w, x.Rules)
		x.Verdict.print(w)
	}
	for _, words := range x.Player {
		fmt.Fprintln(w, "the player says:", strings.ReplaceAll(words, "\n", "\n  "))
	}
	for _, note := range x.Defaults {
		fmt.Fprintln(w, note)
	}
}

func (v *triedValue) print(w io.Writer, title string) {
	if v == nil || v.Kind == "nothing" {
		return
	}
	section(w, "\n"+title, visibleText(v.Text))
}

func printValues(w io.Writer, title string, all []triedValue) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	layer, width := "", 0
	for _, v := range all {
		width = max(width, len(v.Name))
	}
	for _, v := range all {
		if v.Layer != layer {
			layer = v.Layer
			fmt.Fprintf(w, "  (%s)\n", layer)
		}
		text := visibleText(v.Text)
		switch {
		case v.Error != "":
			text = "failed: " + v.Error
		case v.Kind == "nothing":
			text = "(nothing)"
		case v.Kind == "bytes":
			text = fmt.Sprintf("%d bytes, hex %s", len(v.Text)/2, v.Text)
		}
		if strings.Contains(strings.TrimRight(text, "\n"), "\n") || v.Kind == "tree" {
			fmt.Fprintf(w, "  %s\n%s", v.Name, indented(text, "    "))
			continue
		}
		fmt.Fprintf(w, "  %-*s  %s\n", width, v.Name, text)
	}
}

func (b *triedBytes) print(w io.Writer, title string) {
	if b == nil {
		return
	}
	fmt.Fprintf(w, "\n%s: %s, %s\n", title, core.Count(b.Bytes, "byte", "bytes"), b.Charset)
	text := b.Text
	if b.hex != "" {
		text = b.hex
	}
	fmt.Fprintln(w, strings.TrimRight(text, "\n"))
}

func printRules(w io.Writer, all []triedRule) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w, "\nrules, as they are judged:")
	for _, r := range all {
		line := fmt.Sprintf("  %-10s  %s", r.Rule, r.What)
		if r.Why != "" {
			line += ": " + r.Why
		}
		if r.Decided {
			line += " (decided)"
		}
		fmt.Fprintln(w, line)
	}
}

func (v *triedAnswer) print(w io.Writer) {
	fmt.Fprintln(w, "\noutcome: ", v.Outcome)
	if v.Rule != "" {
		fmt.Fprintln(w, "rule:    ", v.Rule)
	}
	if v.Words != "" {
		shown := ""
		if v.ShowPatient {
			shown = " (shown to the patient)"
		}
		fmt.Fprintf(w, "HIS says: %s%s\n", v.Words, shown)
	}
	for _, k := range sortedKeys(v.Captured) {
		fmt.Fprintf(w, "captured: %s = %s\n", k, v.Captured[k])
	}
	for _, p := range v.Parts {
		fmt.Fprintf(w, "part:     %s %s %s\n", p.Key, p.Outcome, p.Words)
	}
	if v.Next != nil {
		fmt.Fprintln(w, "next page:", *v.Next)
	}
	if v.Because != "" {
		fmt.Fprintln(w, "because: ", v.Because)
	}
	for _, what := range v.Forgiven {
		fmt.Fprintln(w, "forgiven:", what)
	}
	if v.Returns != nil {
		text, err := plainJSON(v.Returns)
		if err != nil {
			text = []byte(err.Error())
		}
		fmt.Fprintf(w, "returns: %s\n", pretty(text))
	}
}

// visibleText makes control characters visible.
func visibleText(text string) string {
	var out strings.Builder
	spell(&out, text)
	return out.String()
}

// plainJSON is JSON for people: < and & stand as they are.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

func section(w io.Writer, title, text string) {
	fmt.Fprintf(w, "%s:\n%s", title, indented(text, "  "))
}

func indented(text, by string) string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return ""
	}
	return by + strings.ReplaceAll(text, "\n", "\n"+by) + "\n"
}

func pretty(message json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, message, "", "  ") != nil {
		return string(message)
	}
	return b.String()
}
