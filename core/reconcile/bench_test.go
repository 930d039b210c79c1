package reconcile_test

import (
	"context"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"hishub/core/reconcile"
	"hishub/core/reconcile/reconciletest"
)

func count(t testing.TB, s reconciletest.Shape) map[reconcile.Class]int {
	t.Helper()
	n := map[reconcile.Class]int{}
	err := reconcile.Compare(context.Background(), s.Books(), s.Rules(), func(f reconcile.Finding) error {
		n[f.Class]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func BenchmarkCompare(b *testing.B) {
	for b.Loop() {
		count(b, reconciletest.Shape{Payments: 100_000, Every: 1000})
	}
}

// BenchmarkCompareSmall is a hospital of a thousand payments.
func BenchmarkCompareSmall(b *testing.B) {
	for b.Loop() {
		count(b, reconciletest.Shape{Payments: 1000, Every: 100})
	}
}

// million is three million entries, with what the HIS's rows carry.
func million(b *testing.B, numbering reconciletest.Numbering) {
	s := reconciletest.Shape{Payments: 1_000_000, Every: 1000, Numbering: numbering}
	for b.Loop() {
		start := time.Now()
		for _, books := range []reconcile.Stream{s.Books().Channel, s.Books().Ours, s.Books().HIS} {
			for range books { //nolint:revive // how long the making alone takes
			}
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/making")
		if got := count(b, s); !maps.Equal(got, s.Expected()) {
			b.Fatalf("found %v, planted %v", got, s.Expected())
		}
	}
	b.ReportMetric(peak(b), "MB-peak")
}

func BenchmarkCompare1M(b *testing.B)        { million(b, reconciletest.OurNumber) }
func BenchmarkCompare1MChannel(b *testing.B) { million(b, reconciletest.ChannelNumber) }
func BenchmarkCompare1MCut(b *testing.B)     { million(b, reconciletest.CutNumber) }

// peak is the most that this process was resident in, in MB, since its start.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc here: ", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return float64(kb) / 1024
		}
	}
	return 0
}
