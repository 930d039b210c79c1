package servers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// StartRabbitMQ starts a RabbitMQ node in dir, which belongs to it alone, with
// an epmd (Erlang's name server) of its own. A new node takes 4 to 14 seconds.
func StartRabbitMQ(ctx context.Context, dir string) (*Server, error) {
	bin, err := rabbitmqPrograms()
	if err != nil {
		return nil, fmt.Errorf("start RabbitMQ (Debian: apt-get install rabbitmq-server): %w", err)
	}
	var ctl string
	s, err := blueprint{
		name: "RabbitMQ", install: "rabbitmq-server", ports: 3,
		launch: func(ctx context.Context, dir string, ports []int) (running, error) {
			n := rabbitNode{bin: bin, dir: dir, port: ports[0], dist: ports[1], epmd: ports[2]}
			ctl = n.ctl()
			return n.launch(ctx)
		},
		url: func(ports []int) string { return rabbitURL(ports[0]) },
	}.start(ctx, dir)
	if err == nil {
		s.Ctl = ctl
	}
	return s, err
}

func rabbitURL(port int) string { return fmt.Sprintf("amqp://guest:guest@127.0.0.1:%d/", port) }

// rabbitmqPrograms is the folder of RabbitMQ's own scripts. Debian's
// /usr/sbin/rabbitmq-server is a wrapper that insists on the machine's node.
func rabbitmqPrograms() (string, error) {
	patterns := []string{"/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin", "/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/usr/local/sbin"}
	for _, pattern := range patterns {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			if _, err := exec.LookPath(filepath.Join(dir, "rabbitmqctl")); err == nil {
				return dir, nil
			}
		}
	}
	return "", errors.New("rabbitmq-server is in none of " + strings.Join(patterns, ", "))
}

type rabbitNode struct {
	bin, dir         string
	port, dist, epmd int
	// cluster are the ports of all its nodes, which share one epmd; none for a node
	// by itself, which starts its own.
	cluster []int
}

func (n rabbitNode) name() string { return nodeName(n.port) }

func nodeName(port int) string { return fmt.Sprintf("hishub-%d@localhost", port) }

// env is what server and rabbitmqctl share; nothing of the machine's own node
// (/etc/rabbitmq, ~/.erlang.cookie) may show through.
func (n rabbitNode) env() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + filepath.Join(n.dir, "home"), // the Erlang cookie lives there
		"LANG=C.UTF-8",
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_NODENAME=" + n.name(),
		"ERL_EPMD_PORT=" + strconv.Itoa(n.epmd),
	}
}

func (n rabbitNode) ctl() string {
	return strings.Join(append(n.env(), filepath.Join(n.bin, "rabbitmqctl")), " ")
}

func (n rabbitNode) launch(ctx context.Context) (_ running, err error) {
	for _, sub := range []string{"home", "data", "log"} {
		if err := os.MkdirAll(filepath.Join(n.dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	conf := filepath.Join(n.dir, "rabbitmq.conf")
	if err := os.WriteFile(conf, []byte(n.settings()), 0o644); err != nil {
		return nil, err
	}
	var epmd *process
	if n.cluster == nil {
		if epmd, err = startEpmd(n.epmd, n.dir); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				epmd.kill()
			}
		}()
	}
	cmd := exec.Command(filepath.Join(n.bin, "rabbitmq-server"))
	cmd.Dir = n.dir
	cmd.Env = append(n.env(),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(n.dist),
		"RABBITMQ_CONFIG_FILE="+conf,
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(n.dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(n.dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(n.dir, "log"),
		"RABBITMQ_PID_FILE="+filepath.Join(n.dir, "pid"),
		// The script then becomes the node instead of staying its parent, so that
		// the node itself dies with us; -noinput takes back what the name says.
		"RABBITMQ_ALLOW_INPUT=1",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1} -kernel net_ticktime 8",
	)
	node, err := startProcess(cmd, filepath.Join(n.dir, "start.log"))
	if err != nil {
		return nil, err
	}
	err = node.waitReady(ctx, func(ctx context.Context) error {
		conn, err := amqp.Dial(rabbitURL(n.port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return rabbit{node, epmd}, err
}

// rabbit is a node, with an epmd where it has one of its own.
type rabbit struct{ node, epmd *process }

func (r rabbit) pids() []int {
	if r.epmd == nil {
		return r.node.pids()
	}
	return append(r.node.pids(), r.epmd.pids()...)
}

func (r rabbit) stop(ctx context.Context) error {
	if err := r.node.stop(ctx); err != nil {
		return err
	}
	if r.epmd != nil {
		r.epmd.kill()
	}
	return nil
}

func (r rabbit) kill() {
	r.node.kill()
	if r.epmd != nil {
		r.epmd.kill()
	}
}

// settings is the text of the node's rabbitmq.conf.
func (n rabbitNode) settings() string {
	text := fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\n", n.port)
	if n.cluster == nil {
		return text
	}
	text += "cluster_partition_handling = pause_minority\ncluster_formation.discovery_retry_limit = 2\n"
	for i, port := range n.cluster {
		text += fmt.Sprintf("cluster_formation.classic_config.nodes.%d = %s\n", i+1, nodeName(port))
	}
	return text
}

// startEpmd starts Erlang's name server. Erlang would start a daemon that stays
// behind; ours is a child like the nodes.
func startEpmd(port int, dir string) (*process, error) {
	path, err := program("epmd")
	if err != nil {
		return nil, err
	}
	return startProcess(exec.Command(path, "-address", "127.0.0.1", "-port", strconv.Itoa(port)), filepath.Join(dir, "epmd.log"))
}

// RabbitMQ returns the URL of a new, empty virtual host, deleted at the end of
// the test together with the connections left open in it.
func RabbitMQ(tb testing.TB) string {
	tb.Helper()
	s := shared.rabbitmq.get(tb)
	u, err := url.Parse(s.URL)
	must(tb, "read RabbitMQ's URL", err)
	name := fresh()
	must(tb, "make a virtual host", rabbitmqctl(s.Ctl, "add_vhost", name))
	tb.Cleanup(func() { must(tb, "delete the test's virtual host", rabbitmqctl(s.Ctl, "delete_vhost", name)) })
	must(tb, "open the virtual host", rabbitmqctl(s.Ctl, "set_permissions", "-p", name, u.User.Username(), ".*", ".*", ".*"))
	u.Path = "/" + name
	return u.String()
}

// rabbitmqctl runs a command of Server.Ctl's form.
func rabbitmqctl(ctl string, args ...string) error {
	words := strings.Fields(ctl)
	programAt := 0
	for programAt < len(words) && strings.Contains(words[programAt], "=") {
		programAt++
	}
	if programAt == len(words) {
		return errors.New(envRabbitmqctl + " names no rabbitmqctl: virtual hosts can't be made")
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[programAt], append(words[programAt+1:], args...)...)
	cmd.Env = append(os.Environ(), words[:programAt]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rabbitmqctl %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
