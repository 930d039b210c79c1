package servers

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
)

// StartRabbitMQCluster starts RabbitMQ nodes that are one broker, in folders below
// dir, one after the other: 6 to 14 seconds each. stop ends what is left of it.
func StartRabbitMQCluster(ctx context.Context, dir string, nodes int) (all []*Server, stop func(), err error) {
	bin, err := rabbitmqPrograms()
	if err != nil {
		return nil, nil, fmt.Errorf("start RabbitMQ (Debian: apt-get install rabbitmq-server): %w", err)
	}
	ports, err := freePorts(2*nodes + 1)
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	epmd, err := startEpmd(ports[2*nodes], dir)
	if err != nil {
		return nil, nil, fmt.Errorf("start RabbitMQ's name server: %w", err)
	}
	stop = func() {
		for _, s := range all {
			s.Kill()
		}
		epmd.kill()
	}
	cookie := rand.Text() // by which the nodes know one another
	for i := range nodes {
		n := rabbitNode{bin: bin, dir: filepath.Join(dir, fmt.Sprint("node", i+1)), port: ports[i], dist: ports[nodes+i], epmd: ports[2*nodes], cluster: ports[:nodes]}
		if err := n.keepCookie(cookie); err != nil {
			stop()
			return nil, nil, err
		}
		s := &Server{URL: rabbitURL(n.port), Ctl: n.ctl(), launch: n.launch}
		if err := s.Restart(ctx); err != nil {
			stop()
			return nil, nil, fmt.Errorf("start node %d of RabbitMQ: %w", i+1, err)
		}
		all = append(all, s)
	}
	return all, stop, nil
}

// keepCookie puts Erlang's cookie where the node and its rabbitmqctl look for it.
func (n rabbitNode) keepCookie(cookie string) error {
	home := filepath.Join(n.dir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(home, ".erlang.cookie"), []byte(cookie), 0o400)
}
