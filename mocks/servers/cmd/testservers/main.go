// Testservers starts PostgreSQL, RabbitMQ, Redis and MariaDB for tests and ends
// them when it ends.
//
//	testservers -- go test ./...    runs a command that finds them in its environment
//	testservers                     prints export lines and waits for Ctrl-C
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"hishub/mocks/servers"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testservers:", err)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	} else if len(args) > 0 {
		return 2, errors.New("usage: testservers [-- command argument ...]")
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	dir, remove, err := servers.TempDir()
	if err != nil {
		return 1, err
	}
	defer remove()

	began := time.Now()
	env, stop, err := servers.StartAll(ctx, dir)
	if err != nil {
		return 1, err
	}
	defer stop()
	fmt.Fprintf(os.Stderr, "testservers: PostgreSQL, RabbitMQ, Redis and MariaDB run (%.1f s)\n", time.Since(began).Seconds())

	if len(args) == 0 {
		for _, v := range env {
			name, value, _ := strings.Cut(v, "=")
			fmt.Printf("export %s='%s'\n", name, value)
		}
		<-ctx.Done()
		return 0, nil
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	// Ctrl-C reaches the command from the terminal; a SIGTERM reaches only us.
	forward := context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })
	defer forward()
	err = cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return max(1, ended.ExitCode()), nil
	}
	return 0, err
}
