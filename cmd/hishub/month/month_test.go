// Package month lives through a simulated month of five hospitals of different
// dialects. The real program delivers, fake hospitals and fake payment channels
// keep books of their own and are made to go wrong in every way that finance
// knows; each morning the nights are run and repairs are approved. What the plan
// put wrong is the truth: each night must name all of it in its class, and
// nothing else; after the repairs nothing is left, nothing was done twice and no
// fen is lost.
//
// Everything follows from the seed. HISHUB_MONTH=full lives 30 days,
// HISHUB_SEED=n one seed alone.
package month

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"hishub/mocks/servers"
)

// size of a month.
type size struct {
	seeds []uint64
	days  int
	// each sort of fault strikes a hospital so often, at least.
	often int
}

var (
	small = size{seeds: []uint64{1}, days: 6, often: 1}
	full  = size{seeds: []uint64{1, 2, 3}, days: 30, often: 4}
)

func sizeAsked(t *testing.T) size {
	s := small
	if os.Getenv("HISHUB_MONTH") == "full" {
		s = full
	}
	if one := os.Getenv("HISHUB_SEED"); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		must(t, "read HISHUB_SEED", err)
		s.seeds = []uint64{seed}
	}
	return s
}

// TestMonth: the report of each night is the truth; after the repairs the month
// is clean, and everybody's money is all there.
func TestMonth(t *testing.T) {
	size := sizeAsked(t)
	binary, dir, server := stage(t)
	for _, seed := range size.seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			w := &world{T: t, ctx: t.Context(), seed: seed, name: fmt.Sprintf("month%d", seed), days: size.days,
				binary: binary, dir: filepath.Join(dir, fmt.Sprint("month", seed)), postgres: server}
			w.open()
			w.plan(size.often)
			for day := 1; day <= w.days; day++ {
				w.live(day)
				w.morning(day)
				w.repair(day + 1)
			}
			w.morning(w.days + 1) // of the day that had repairs only
			w.last()
			w.states()
			w.again()
			w.judge()
			w.report()
		})
	}
}

// stage builds the program and starts one server for all.
func stage(t *testing.T) (binary, dir, postgres string) {
	dir, remove, err := servers.TempDir()
	must(t, "make a folder", err)
	t.Cleanup(remove)
	binary = filepath.Join(dir, "hishub")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "hishub/cmd/hishub").CombinedOutput(); err != nil {
		t.Fatalf("build hishub: %v\n%s", err, out)
	}
	server, err := servers.StartPostgres(context.WithoutCancel(t.Context()), dir)
	must(t, "start PostgreSQL", err)
	t.Cleanup(server.Kill)
	return binary, dir, server.URL
}

// random is a stream of numbers of its own for each part, so that one part
// drawing more or fewer of them does not change another.
func (w *world) random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(w.seed, part)) }

func must(t testing.TB, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}
