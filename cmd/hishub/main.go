// Command hishub is the whole program: the hub, its tools, the fake hospitals,
// the demo and the benchmark.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"hishub/core"
	"hishub/core/postgres"
)

// version is set by the build.
var version = "dev"

type cli struct {
	Up        upCmd        `cmd:"" help:"Run everything in one process, on a private PostgreSQL and stand-ins for RabbitMQ and Redis."`
	Serve     serveCmd     `cmd:"" help:"Run the hub on DATABASE_URL, AMQP_URL and REDIS_URL; any number side by side."`
	Platform  platformCmd  `cmd:"" help:"Run modules of the clinic in a process of their own, beside a hub."`
	Mock      mockCmd      `cmd:"" help:"Run fake hospitals to develop and test against."`
	Hospital  hospitalCmd  `cmd:"" help:"Check, try, apply and list hospital folders; pause, resume and limit hospitals."`
	Codes     codesCmd     `cmd:"" help:"Bring code tables in and out, see what they lack, and have rows proposed."`
	Message   messageCmd   `cmd:"" help:"List, show, retry, cancel and release messages."`
	Trace     traceCmd     `cmd:"" help:"Follow a number of the clinic or the hub through all its hops."`
	Replay    replayCmd    `cmd:"" help:"List, show, pause, resume and cancel replays of many messages."`
	Reconcile reconcileCmd `cmd:"" help:"Compare a day of the channel, us and the HIS; decide what differs."`
	Incident  incidentCmd  `cmd:"" help:"List what needs a look, and say that you look at it."`
	Alert     alertCmd     `cmd:"" help:"Check who is told of incidents, and try it."`
	Key       keyCmd       `cmd:"" help:"Make, list and revoke API keys."`
	Person    personCmd    `cmd:"" help:"The clinic's staff: invite, grant and revoke roles, disable, sign out."`
	Audit     auditCmd     `cmd:"" help:"See what people did and looked at, and prove that nobody changed it."`
	Retention retentionCmd `cmd:"" help:"How long contents, bytes, events and books are kept."`
	Migrate   migrateCmd   `cmd:"" help:"Bring the database's schema up to this program's."`
	Doctor    doctorCmd    `cmd:"" help:"Say what is wrong with an installation, and what to do."`
	Demo      demoCmd      `cmd:"" help:"Show the main job on embedded defaults with eleven fake hospitals."`
	Bench     benchCmd     `cmd:"" help:"Measure what this machine delivers."`
	Version   versionCmd   `cmd:"" help:"Print the version."`

	CompareStaged compareStagedCmd `cmd:"" hidden:"" help:"Part of the benchmark."`
}

type versionCmd struct{}

func (versionCmd) Help() string { return "Example:\n  hishub version" }

func (versionCmd) Run() error {
	fmt.Println("hishub", version)
	return nil
}

func newParser(ctx context.Context) *kong.Kong {
	return kong.Must(&cli{},
		kong.Name("hishub"),
		kong.Description("hishub turns a clinic's prescriptions and payments into each hospital's own dialect, delivers them exactly once where the HIS makes that possible, and compares the books at night."),
		kong.ShortUsageOnError(),
		kong.Exit(func(code int) { os.Exit(min(code, 2)) }), // 2 for all that is wrong with the words
		kong.Vars{"dataDefault": defaultData(), "user": userName()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx = postgres.WithOrigin(ctx, &postgres.Origin{Who: userName(), Role: "machine"})
	if err := readSecretFiles(); err != nil {
		complain(err)
		os.Exit(2)
	}
	parser := newParser(ctx)
	k, err := parser.Parse(os.Args[1:])
	if err != nil {
		parser.Stdout = os.Stderr // how it is used belongs to the error
		parser.FatalIfErrorf(err)
	}
	if err := k.Run(); err != nil {
		complain(err)
		os.Exit(exitCode(err))
	}
}

// complain says an error, with everything that is wrong with a message.
func complain(err error) {
	fmt.Fprintln(os.Stderr, "hishub:", err)
	var ps core.Problems
	if errors.As(err, &ps) {
		for _, p := range ps[1:] {
			fmt.Fprintf(os.Stderr, "  %s: %s\n", p.Field, p.What)
		}
	}
}

// exitCode: 1 for what failed, 2 for what the caller must mend, 3 for a night
// with differences and for a hospital that does not conform.
func exitCode(err error) int {
	var ps core.Problems
	switch {
	case errors.Is(err, errDifferences), errors.Is(err, errNotConforming):
		return 3
	case errors.As(err, &ps):
		return 2
	}
	return 1
}
