package demo

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hishub/core/postgres/private"
	"hishub/mapping/hospitals"
	"hishub/mocks/shipped"
)

// openHospitals starts every party's HIS, and says to the hub's environment where it is.
func (s *stage) openHospitals(ctx context.Context, cluster *private.Cluster) error {
	his, env := make([]shipped.HIS, len(parties)), make([]map[string]string, len(parties))
	var all errgroup.Group
	for i, p := range parties {
		all.Go(func() (err error) {
			o := shipped.Options{Latency: 20 * time.Millisecond}
			if p.inDatabase {
				if err := cluster.CreateDatabase(ctx, p.id); err != nil {
					return err
				}
				o = shipped.Options{Database: cluster.URL(p.id)}
			}
			if his[i], env[i], err = p.start(ctx, o); err != nil {
				return fmt.Errorf("start %s: %w", p.id, err)
			}
			return nil
		})
	}
	err := all.Wait()
	s.his = map[string]*control{}
	for i, p := range parties {
		if his[i] == nil {
			continue
		}
		s.later(func() { his[i].Close() })
		s.his[p.id] = &control{client{base: his[i].ControlURL(), http: s.client.http}}
		for name, value := range env[i] {
			s.env = append(s.env, name+"="+value)
		}
	}
	if err != nil {
		return err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.mllp = free.Addr().String()
	s.env = append(s.env, "HEPING_LISTEN="+s.mllp, "HEPING_ALLOW=127.0.0.0/8")
	return free.Close()
}

// sooner is what nobody wants to wait for here: until an upload is asked about, and
// until it is believed that no answer comes.
var sooner = strings.NewReplacer("every: 30s", "every: 1s", "timeout: 10s", "timeout: 4s")

// inOneLine are channels as a folder may write them.
var inOneLine = regexp.MustCompile(`(?m)^channels: \{(.*)\}\n`)

// writeFolders copies the folders as they are shipped, each with its account at the
// payment channel.
func (s *stage) writeFolders() error {
	for _, p := range parties {
		to := filepath.Join(s.dir, "hospitals", p.id)
		folder, err := fs.Sub(hospitals.FS, p.id)
		if err != nil {
			return err
		}
		if err := os.CopyFS(to, folder); err != nil {
			return err
		}
		if err := change(filepath.Join(to, "prescription.yaml"), sooner.Replace); err != nil {
			return err
		}
		err = change(filepath.Join(to, "hospital.yaml"), func(text string) string {
			text, others := sooner.Replace(text), ""
			if m := inOneLine.FindStringSubmatch(text); m != nil {
				text, others = strings.Replace(text, m[0], "", 1), "  "+m[1]+"\n"
			}
			if p.moneyless {
				return text
			}
			return text + account(p.id) + others
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func change(name string, by func(string) string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(by(string(text))), 0o600)
}
