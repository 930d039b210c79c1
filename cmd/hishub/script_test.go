package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"hishub/mocks/servers"
)

// TestMain also makes the test binary the program itself, under its own name.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"hishub": main})
}

type tests struct{ m *testing.M }

func (t tests) Run() int { return servers.Main(t.m) }

var _ = os.Args
