package functions_test

import (
	"strings"
	"testing"
	"time"

	"hishub/core"
)

func FuzzFromTime(f *testing.F) {
	for _, seed := range [][2]string{
		{"2026-01-05 14:56:01", "yyyy-MM-dd HH:mm:ss"}, {"20260105", "yyyyMMdd"}, {"2026-01-05T14:56:01.007+08:00", "yyyy-MM-ddTHH:mm:ss.SSSXXX"},
		{"26年1月5日", "yy年M月d日"}, {"it's 2026-01-05", "'it''s' yyyy-MM-dd"}, {"", "'"}, {"-1-1-1", "yyyy-M-d"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, layout string) {
		out, err := all["from_time"].Call(text, layout)
		if err != nil {
			return
		}
		read := out.(time.Time)
		again := call(t, "time", read, layout)
		// What a layout of full width wrote is what it reads.
		if back, err := all["from_time"].Call(again, layout); err != nil || strings.Count(layout, "X") == 0 && !back.(time.Time).Equal(read) {
			if year := read.In(shanghai).Year(); year >= 1 && year <= 9999 {
				t.Errorf("%q by %q is %v, written %q, read %v, %v", text, layout, read, again, back, err)
			}
		}
	})
}

func FuzzFromYuan(f *testing.F) {
	for _, seed := range []string{"21.5", "-0.30", ".5", "1,024.00", "1e3", "92233720368547758.07", "", "+1", "0x1", "１２", "1.999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := all["from_yuan"].Call(text)
		if err != nil {
			return
		}
		if back := call(t, "from_yuan", call(t, "yuan", out)); back.(core.Fen) != out.(core.Fen) {
			t.Errorf("%q is %v, then %v", text, out, back)
		}
		if call(t, "same", text, call(t, "yuan", out), "0") != true {
			t.Errorf("%q is read as %v", text, out)
		}
	})
}

func FuzzRound(f *testing.F) {
	for _, seed := range []string{"2.345", "-2.345", "0.5", ".5", "-", ".", "1.", "999999999999.99999"} {
		f.Add(seed, 2)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		out, err := all["round"].Call(text, n)
		if err != nil {
			return
		}
		if again := call(t, "round", out, n); again != out {
			t.Errorf("round(%q, %d) = %v, then %v", text, n, out, again)
		}
	})
}

func FuzzFromGB18030(f *testing.F) {
	f.Add([]byte{0xb2, 0xe2}, true)
	f.Add([]byte{0x81, 0x84, 0x84, 0x31, 0xa4, 0x37, 0xa4, 0x37}, false)
	f.Fuzz(func(t *testing.T, b []byte, _ bool) {
		out, err := all["from_gb18030"].Call(b)
		if err != nil {
			return
		}
		text := out.(string)
		if back := call(t, "from_gb18030", call(t, "gb18030", text)); back != text {
			t.Errorf("%x is %q, then %q", b, text, back)
		}
	})
}
