package formats_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mapping/formats"
)

const msh = `MSH|^~\&|HUB||HIS||20260105100000||OMP^O09|K1|P|2.4` + "\r"

func mshFields(more ...any) tree {
	return append(doc("1", "|", "2", `^~\&`), doc(more...)...)
}

func TestHL7v2Write(t *testing.T) {
	head := doc("3", "HUB", "5", "HIS", "7", "20260105100000", "9", doc("1", "OMP", "2", "O09"), "10", "K1", "11", "P", "12", core.Token("2.4"))
	testWrite(t, "hl7v2", []writeCase{
		{"the header is filled", nil, doc("MSH", head), msh},
		{"repetition, components, positions in any order", nil,
			doc("MSH", head, "PID", doc("5", "张三测试", "3", list{doc("1", "0001", "5", "PN"), doc("5", "NI"), "x", nil})),
			msh + "PID|||0001^^^^PN~^^^^NI~x~||张三测试\r"},
		{"subcomponents", nil, doc("MSH", head, "ORC", doc("1", "NW", "7", doc("1", doc("1", "0.5", "2", "g"), "2", doc("2", "TID"), "7", nil))),
			msh + "ORC|NW||||||0.5&g^&TID^^^^^\r"},
		{"trailing positions only if given", nil, doc("MSH", head, "PID", doc("1", "1", "4", nil), "PV1", doc(), "PV2", nil), msh + "PID|1|||\rPV1\rPV2\r"},
		{"order is kept", nil, doc("MSH", head, "ORC", doc("1", "1"), "RXO", doc("1", "a"), "ORC", doc("1", "2"), "RXO", doc("1", "b"), "ZPA", list{doc("1", "x"), doc("1", "y")}),
			msh + "ORC|1\rRXO|a\rORC|2\rRXO|b\rZPA|x\rZPA|y\r"},
		{"segments in segments", nil, doc("MSH", head, "OBR", list{doc("1", "1", "OBX", list{doc("1", "1"), doc("1", "2")}), doc("1", "2", "OBX", doc("1", "1"))}),
			msh + "OBR|1\rOBX|1\rOBX|2\rOBR|2\rOBX|1\r"},
		{"escapes", nil, doc("MSH", head, "NTE", doc("3", "a|b^c~d\\e&f\r\ng\nh\x0b\t#")), msh + `NTE|||a\F\b\S\c\R\d\E\e\T\f\.br\g\.br\h\X0B\\X09\#` + "\r"},
		{"raw", nil, doc("MSH", head, "OBX", doc("5", core.Raw(`a\.br\b^c`))), msh + `OBX|||||a\.br\b^c` + "\r"},
		{"other delimiters", nil, doc("MSH", doc("1", "*", "2", "%+$!#", "3", "*|a"), "PID", doc("1", doc("1", "a%#", "2", "^"), "2", list{"1", "2"})),
			"MSH*%+$!#*$F$|a\rPID*a$S$$P$%^*1+2\r"},
		{"terminator", opts{"terminator": "crlf"}, doc("MSH", doc("3", "a"), "PID", nil), "MSH|^~\\&|a\r\nPID\r\n"},
		{"nil as", opts{"nil_as": `""`}, doc("MSH", doc("3", nil, "5", "x"), "PID", doc("2", list{nil, "1"}, "3", doc("2", nil))), "MSH|^~\\&|\"\"||x\rPID||\"\"~1|^\"\"\r"},
	})
}

func TestHL7v2Read(t *testing.T) {
	lenient := opts{"lenient": true}
	head := mshFields("3", "A")
	testRead(t, "hl7v2", []readCase{
		{"an acknowledgement", nil, "MSH|^~\\&|HIS||HUB||20260105143001||ACK^O09|H1|P|2.4\rMSA|AA|K1|成功\r",
			doc("MSH", mshFields("3", "HIS", "5", "HUB", "7", "20260105143001", "9", doc("1", "ACK", "2", "O09"), "10", "H1", "11", "P", "12", "2.4"),
				"MSA", doc("1", "AA", "2", "K1", "3", "成功"))},
		{"levels", nil, "MSH|^~\\&|A\rPID||a^^b~c|d&e|^f&g^|&\r",
			doc("MSH", head, "PID", doc("2", list{doc("1", "a", "3", "b"), "c"}, "3", doc("1", doc("1", "d", "2", "e")), "4", doc("2", doc("1", "f", "2", "g"), "3", nil), "5", doc("1", doc("2", nil))))},
		{"empty positions", nil, "MSH|^~\\&|A\rPID||1|||\rPV1|\rPV2\r", doc("MSH", head, "PID", doc("2", "1", "5", nil), "PV1", doc("1", nil), "PV2", nil)},
		{"repeated segments, line ends of all kinds", nil, "MSH|^~\\&|A\r\nOBX|1\nZZ1|x\r\n\r\nOBX|2",
			doc("MSH", head, "OBX", list{doc("1", "1"), doc("1", "2")}, "ZZ1", doc("1", "x"))},
		{"other delimiters", nil, "MSH*%+$!*A\rPID*a|^\\&*1%2+3*x$F$$S$$R$$E$$T$\r",
			doc("MSH", doc("1", "*", "2", "%+$!", "3", "A"), "PID", doc("1", "a|^\\&", "2", list{doc("1", "1", "2", "2"), "3"}, "3", "x*%+$!"))},
		{"few delimiters", nil, "MSH|^\rPID|a^b~c\\F\\&d\r", doc("MSH", doc("1", "|", "2", "^"), "PID", doc("1", doc("1", "a", "2", "b~c\\F\\&d")))},
		{"escapes", nil, "MSH|^~\\&|A\rNTE|\\F\\\\S\\\\R\\\\E\\\\T\\|a\\.br\\b\\.sp2\\c\\.sk 3\\d\\H\\e\\N\\f\\.in+4\\\\.ce\\|\\X414243\\\\XE6B58B\\|\\X0D0A\\\r",
			doc("MSH", head, "NTE", doc("1", `|^~\&`, "2", "a\nb\n\nc   def\n", "3", "ABC测", "4", "\r\n"))},
		{"truncation", nil, "MSH|^~\\&#|A\rNTE|a#\\P\\\r", doc("MSH", doc("1", "|", "2", `^~\&#`, "3", "A"), "NTE", doc("1", "a##"))},
		{"delete", nil, "MSH|^~\\&|A\rPID|\"\"\r", doc("MSH", head, "PID", doc("1", `""`))},
		{"nulls", opts{"nulls": []any{`""`}}, "MSH|^~\\&|A\rPID|\"\"|1\r", doc("MSH", head, "PID", doc("2", "1"))},
		{"groups", opts{"groups": []any{"PID", "OBR"}}, "MSH|^~\\&|A\rPID|1\rPV1|a\rOBR|1\rOBX|1\rOBX|2\rOBR|2\rNTE|n\rPID|2\rOBR|3\r",
			doc("MSH", head, "PID", list{
				doc("1", "1", "PV1", doc("1", "a"), "OBR", list{doc("1", "1", "OBX", list{doc("1", "1"), doc("1", "2")}), doc("1", "2", "NTE", doc("1", "n"))}),
				doc("1", "2", "OBR", doc("1", "3"))})},
		{"a batch", opts{"groups": []any{"MSH", "PID"}}, "BHS|^~\\&|A\rMSH|^~\\&|B\rPID|1\rNTE|x\rMSH|^~\\&|C\rPID|2\rBTS|2\r",
			doc("BHS", head, "MSH", list{
				append(mshFields("3", "B"), doc("PID", doc("1", "1", "NTE", doc("1", "x")))...),
				append(mshFields("3", "C"), doc("PID", doc("1", "2"))...)}, "BTS", doc("1", "2"))},
		{"lenient: line ends in a field", lenient, "MSH|^~\\&|A\rOBX|1|one\r\ntwo\nthree|x\rZZ1|y\r", doc("MSH", head, "OBX", doc("1", "1", "2", "one\ntwo\nthree", "3", "x"), "ZZ1", doc("1", "y"))},
		{"lenient: escapes", lenient, "MSH|^~\\&|A\rOBX|C:\\dir\\x|\\Z1\\|a\\\r", doc("MSH", head, "OBX", doc("1", `C:\dir\x`, "2", `\Z1\`, "3", `a\`))},
		{"lenient: what stands before", lenient, "\ufeff \r\nmsh|^~\\&|A\rpid|1", doc("MSH", head, "PID", doc("1", "1"))},
	})
}

func TestHL7v2Errors(t *testing.T) {
	const m = "MSH|^~\\&|A\r"
	head := doc("3", "A")
	testErrors(t, "hl7v2", []errorCase{
		{about: "text", value: secret, want: "write hl7v2: wants a map of segments"},
		{about: "no header", value: doc("PID", doc("1", secret)), want: "write hl7v2: PID: stands before MSH, which says what the delimiters are"},
		{about: "segment", value: doc("MSH", head, "PIDX", doc("1", secret)), want: "write hl7v2: PIDX: is not the name of a segment: three capitals, as PID or ZPA"},
		{about: "text as a segment", value: doc("MSH", head, "PID", list{doc(), secret}), want: "write hl7v2: PID[2]: is a segment: it wants a map from position to field"},
		{about: "position", value: doc("MSH", head, "PID", doc("0", secret)), want: "write hl7v2: PID/0: is not a position: a number from 1 to 1000"},
		{about: "far position", value: doc("MSH", head, "PID", doc("1001", secret)), want: "write hl7v2: PID/1001: is not a position: a number from 1 to 1000"},
		{about: "name as a position", value: doc("MSH", head, "PID", doc("5", doc("family", secret))), want: "write hl7v2: PID/5/family: is not a position: a number from 1 to 1000"},
		{about: "position twice", value: doc("MSH", head, "PID", doc("1", "a", "1", secret)), want: "write hl7v2: PID/1: is a position that is given twice"},
		{about: "too deep", value: doc("MSH", head, "PID", doc("5", doc("1", doc("2", doc("1", secret))))), want: "write hl7v2: PID/5/1/2: has children, but only text can stand here"},
		{about: "list of components", value: doc("MSH", head, "PID", doc("5", doc("1", list{secret}))), want: "write hl7v2: PID/5/1: is a list, but only one text can stand here"},
		{about: "delimiters", value: doc("MSH", doc("1", "|", "2", "^^")), want: "write hl7v2: MSH: a delimiter is a punctuation mark that is none of the others"},
		{about: "letters as delimiters", value: doc("MSH", doc("1", "A")), want: "write hl7v2: MSH: a delimiter is a punctuation mark that is none of the others"},
		{about: "no delimiter for it", value: doc("MSH", doc("2", "^"), "PID", doc("1", list{"1", secret})), want: "write hl7v2: PID/1: repeats, but MSH-2 has no delimiter for that"},
		{about: "no escape", value: doc("MSH", doc("2", "^"), "PID", doc("1", secret+"|")), want: "write hl7v2: PID/1: holds a delimiter or a control character, but MSH-2 has no character to escape it"},
		{about: "raw line end", value: doc("MSH", head, "OBX", doc("5", core.Raw(secret+"\r"))), want: "write hl7v2: OBX/5: holds a line end, which would end the segment"},

		{about: "nothing", text: "\r\n", want: "read hl7v2: 2:1: the document is empty"},
		{about: "no header read", text: "PID|" + secret, want: "read hl7v2: 1:1: the first segment must be MSH, which says what the delimiters are"},
		{about: "BOM", text: "\ufeff" + m, want: "read hl7v2: 1:1: a segment must stand here: three capitals, then its fields"},
		{about: "line end in a field", text: m + "OBX|1\r" + secret, want: "read hl7v2: 3:1: a segment must stand here: three capitals, then its fields"},
		{about: "lower case", text: m + "pid|" + secret, want: "read hl7v2: 2:1: a segment must stand here: three capitals, then its fields"},
		{about: "unknown escape", text: m + "PID|1|" + secret + "^a\\Q\\", want: "read hl7v2: 2:13: PID/2/2: an escape that is not known or does not end; lenient takes it as it stands"},
		{about: "unknown escape in a repetition", text: m + "PID|1~\\X4\\", want: "read hl7v2: 2:7: PID/1[2]: an escape that is not known or does not end; lenient takes it as it stands"},
		{about: "escaped NUL", text: m + "PID|\\X00\\", want: "read hl7v2: 2:5: PID/1: an escape that is not known or does not end; lenient takes it as it stands"},
		{about: "delimiters missing", text: "MSH", want: "read hl7v2: 1:4: MSH: the delimiters are missing"},
		{about: "delimiters wrong", text: "MSH|a", want: "read hl7v2: 1:4: MSH: a delimiter is a punctuation mark that is none of the others"},
		{about: "name too long", text: m + "PIDX|" + secret, want: "read hl7v2: 2:4: PID: the delimiter of fields must follow the name of a segment"},
		{about: "too many", text: m + "PID" + strings.Repeat("|", 1001), want: "read hl7v2: 2:1005: PID: there are more than 1000 positions"},
		{about: "a page, lenient", options: opts{"lenient": true}, text: "<html>" + secret, want: "read hl7v2: 1:1: a segment must stand here: three capitals, then its fields"},
	})
}

// The messages of the sample dialect, where they are at hand, byte for byte.
func TestHL7v2Samples(t *testing.T) {
	for _, text := range []string{
		msh + "PID||0000024772|0000024772^^^^IDCard~0000024772^^^^PatientNO||测试||19900101000000|M|||||||||||||||\rORC|NW|RX1IH|256594|291200|||0.5&g^&TID^^^^A||20260105143000|D0032||D0032|||||310205\rRXO|Y3^Y3^d|2||盒||||^^^&20406||||盒\rFT1||||||||||||^^12.345\r",
		"MSH|^~\\&|HIS||HUB||20260105143001||ACK^O09|HIS0002|P|2.4\rMSA|AE|K1|药品编码未对照\rERR|RXO^1^1^103\r",
	} {
		f := mustNew(t, "hl7v2", nil)
		v, err := f.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Write(v); err != nil || got != text {
			t.Errorf("%v\n%s", err, cmp.Diff(text, got))
		}
	}
}

func hl7Text(t *rapid.T) core.Value {
	text := strings.Map(func(r rune) rune {
		if r == 0 || r == '\r' {
			return -1
		}
		return r
	}, anyText(t))
	return nilIfEmpty(text)
}

// hl7Parts is a map of several parts whose last is given.
func hl7Parts(t *rapid.T, part func(*rapid.T) core.Value) core.Value {
	out := tree{}
	last := rapid.IntRange(1, 4).Draw(t, "last")
	for i := 1; i <= last; i++ {
		if v := part(t); v != nil || i == last {
			out = append(out, core.Field{Name: string(rune('0' + i)), Value: v})
		}
	}
	if last == 1 {
		return out[0].Value // only what has more than one is a map
	}
	return out
}

// Whatever the values and delimiters: what was written reads the same, lenient or
// not, and was written in one segment a line.
func TestHL7v2RoundTrip(t *testing.T) {
	component := func(t *rapid.T) core.Value { return hl7Parts(t, hl7Text) }
	field := func(t *rapid.T) core.Value {
		if rapid.Bool().Draw(t, "repeats") {
			return list{hl7Parts(t, component), hl7Parts(t, component)}
		}
		return hl7Parts(t, component)
	}
	rapid.Check(t, func(t *rapid.T) {
		encoding := rapid.SampledFrom([]string{`^~\&`, `^~\&#`, `%+$!`, `~^&\`}).Draw(t, "encoding")
		v := doc("MSH", doc("1", "|", "2", encoding, "3", field(t)))
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"PID", "OBX", "Z99"}), 0, 3, rapid.ID).Draw(t, "segments") {
			segment := tree{}
			last := rapid.IntRange(1, 3).Draw(t, "fields")
			for i := 1; i <= last; i++ {
				if f := field(t); f != nil || i == last {
					segment = append(segment, core.Field{Name: string(rune('0' + i)), Value: f})
				}
			}
			v = append(v, core.Field{Name: name, Value: segment})
		}
		text, err := mustNew(t, "hl7v2", nil).Write(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(text, "\r") != len(v) || strings.Contains(text, "\n") {
			t.Fatalf("%q", text)
		}
		for _, lenient := range []bool{false, true} {
			got, err := mustNew(t, "hl7v2", opts{"lenient": lenient}).Read(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(core.Value(v), got); diff != "" {
				t.Fatalf("%q\n(-want +got)\n%s", text, diff)
			}
		}
	})
}

func TestHL7v2Hostile(t *testing.T) {
	const n = 300_000
	f := mustNew(t, "hl7v2", opts{"lenient": true})
	for about, text := range map[string]string{
		"segments":    strings.Repeat("ZZ1|a\r", n),
		"repetitions": "PID|" + strings.Repeat("~", n),
		"escapes":     "PID|" + strings.Repeat(`\`, n),
		"lines":       "PID|" + strings.Repeat("\nx", n),
		"empty lines": strings.Repeat("\r\n", n),
		"unknown":     "PID|" + strings.Repeat(`\Xzz\`, n),
	} {
		if _, err := f.Read("MSH|^~\\&|A\r" + text); err != nil {
			t.Error(about, err)
		}
	}
}

// What reads and is written again reads the same; what lenient forgives is an
// error of the strict reader.
func FuzzHL7v2(f *testing.F) {
	f.Add(msh+"PID|||1^^^^PN~2&3|a\\F\\b\rOBX|1\r\nOBX|2\rZZZ|\"\"\r", "PID")
	f.Add("MSH|^~\\.|HUB||HIS||X|1\r\n-", "PID") // the escape of a line end has the delimiter of subcomponents
	f.Add("BHS|^~\\&|A\rMSH*%+$!#*B\rpid*1\rx\ry\\Q\\\rBTS|1", "MSH")
	f.Fuzz(func(t *testing.T, text, group string) {
		options := opts{}
		if _, err := formats.New("hl7v2", opts{"groups": []any{group}}); err == nil {
			options["groups"] = []any{group}
		}
		v := fuzzForgiving(t, "hl7v2", options, text)
		if v == nil {
			return
		}
		strict := mustNew(t, "hl7v2", options)
		again, err := strict.Write(v)
		if err != nil {
			return // several headers of different delimiters lose their order
		}
		if w, err := strict.Read(again); err == nil {
			if twice, err := strict.Write(w); err != nil || twice != again {
				t.Errorf("%v: %q became %q", err, again, twice)
			}
		} else if strings.Count(text, "MSH")+strings.Count(text, "FHS")+strings.Count(text, "BHS") < 2 && options["groups"] == nil {
			t.Errorf("%q became %q: %v", text, again, err)
		}
	})
}

// fuzzForgiving reads text strict and lenient: what the strict reader takes, the
// lenient takes for the same and forgives nothing; what only the lenient takes, it
// says. The value is the lenient one.
func fuzzForgiving(t *testing.T, format string, options opts, text string) core.Value {
	t.Helper()
	loose := opts{"lenient": true}
	for k, v := range options {
		loose[k] = v
	}
	v, forgiven, err := mustNew(t, format, loose).ReadForgiving(text)
	s, strictErr := mustNew(t, format, options).Read(text)
	same := strictErr == nil && err == nil && cmp.Equal(s, v)
	switch {
	case strictErr == nil && err != nil:
		t.Fatalf("lenient refuses what strict reads: %v", err)
	case err == nil && same != (len(forgiven) == 0):
		t.Fatalf("strict: %v; lenient forgave %v\n%s", strictErr, forgiven, cmp.Diff(s, v))
	case len(forgiven) > formats.MaxForgiven:
		t.Fatalf("%d things are forgiven", len(forgiven))
	}
	if err != nil {
		return nil
	}
	return v
}
