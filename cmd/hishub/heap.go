package main

import (
	"os"
	"runtime"
)

// ballastBytes is counted as heap and never touched, so it takes address space and no
// memory. The collector begins when the heap has doubled: with this, what is live
// (some 30 MB in a busy hub) may grow by that and as much again. It then runs a third
// as often, for about 70 MB more; it saves a tenth of the hub's processor time.
// A bound (GOMEMLIMIT) would not do: a hub with a thousand hospitals needs more than
// one with ten, and at the bound the collector would never rest.
const ballastBytes = 64 << 20

var ballast []byte

// layBallast is for processes that serve. Who sets GOGC or GOMEMLIMIT has decided it.
func layBallast() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		ballast = make([]byte, ballastBytes)
		runtime.KeepAlive(ballast)
	}
}
