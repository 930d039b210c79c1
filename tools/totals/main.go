// Command totals reads `go test -json`, prints what failed as it goes and how
// long each package took, and the totals last. It exits 1 if anything failed or
// nothing ran.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

type event struct {
	Action, Package, Test, Output string
	ImportPath                    string
	Elapsed                       float64
}

func main() {
	output := map[string][]string{}
	passed, failed, skipped := 0, 0, 0
	broken := false
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			output[key] = append(output[key], e.Output)
		case "build-output":
			fmt.Print(e.Output)
		case "build-fail":
			broken = true
		case "pass", "fail", "skip":
			if e.Action == "fail" {
				for _, line := range output[key] {
					fmt.Print(line)
				}
			}
			delete(output, key)
			if e.Test == "" {
				if e.Action == "fail" {
					broken = true
				}
				if e.Action != "skip" {
					fmt.Printf("%-4s %6.1fs %s\n", e.Action, e.Elapsed, e.Package)
				}
				continue
			}
			switch e.Action {
			case "pass":
				passed++
			case "fail":
				failed++
			case "skip":
				skipped++
			}
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if broken || failed > 0 || passed == 0 {
		os.Exit(1)
	}
}
