// Package paychannel is a fake payment channel with books of its own. It speaks
// WeChat Pay's API v3 (wechat.go) and gives bills as that channel does; others'
// dialects are beside it and keep their money in the same books. It imports
// nothing of hishub: what the hub believes about money is judged by these books.
package paychannel

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"hishub/mocks/fault"
)

// Options of the channel; the zero value works, on free ports.
type Options struct {
	Listen  string        // "127.0.0.1:0"
	Control string        // "127.0.0.1:0"
	Latency time.Duration // how long each request takes to be served
	Seed    uint64
	// Merchant is the account number (WeChat's mchid), "1900000001".
	Merchant string
	// Rate of the fee in 1/10000; 60 (0.6 %) when 0.
	Rate int64
	// Keys of WeChat's dialect; what is missing is generated.
	Keys Keys
	// Alipay are the keys of Alipay's dialect; what is missing is generated.
	Alipay AlipayKeys
	// AlipayAddress is how long an address of Alipay's bill is good; 30 seconds.
	AlipayAddress time.Duration
}

// Server is the running channel.
type Server struct {
	options Options
	books   *Books
	keys    *wechatKeys
	alipay  *alipayDesk
	script  *fault.Script // of connections and answers, as the fake hospitals play it
	own     *fault.Script // of bills and refunds
	door    *fault.Door
	control *http.Server
	where   string // of the control port
	serving sync.WaitGroup

	mu    sync.Mutex
	bills []preparedBill // that can be downloaded, oldest first
	// notices that were not taken, or are held back
	notices []notice
}

// New makes a channel that is not open yet.
func New(options Options) (*Server, error) {
	options.Listen = cmp.Or(options.Listen, "127.0.0.1:0")
	options.Control = cmp.Or(options.Control, "127.0.0.1:0")
	options.Merchant = cmp.Or(options.Merchant, "1900000001")
	options.Rate = cmp.Or(options.Rate, 60)
	keys, err := options.Keys.filled(options.Merchant)
	if err != nil {
		return nil, fmt.Errorf("paychannel: keys: %w", err)
	}
	alipay, err := options.Alipay.filled()
	if err != nil {
		return nil, fmt.Errorf("paychannel: alipay's keys: %w", err)
	}
	alipay.life = cmp.Or(options.AlipayAddress, 30*time.Second)
	return &Server{
		options: options, keys: keys, alipay: alipay, books: NewBooks(options.Rate),
		script: fault.NewScript(options.Seed, fault.HTTPKinds),
		own:    fault.NewScript(options.Seed, OwnKinds),
	}, nil
}

// Start makes a channel and opens its two ports.
func Start(_ context.Context, options Options) (*Server, error) {
	s, err := New(options)
	if err != nil {
		return nil, err
	}
	if s.door, err = fault.OpenDoor(s.options.Listen, s.Handler(), s.script); err != nil {
		return nil, fmt.Errorf("paychannel: %w", err)
	}
	if err := s.openControl(); err != nil {
		_ = s.door.Close()
		return nil, fmt.Errorf("paychannel: control: %w", err)
	}
	return s, nil
}

// Handler is the service. Each dialect adds its own patterns.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.serveWeChat(mux)
	s.serveAlipay(mux)
	return mux
}

// URL of the channel, without a slash at its end.
func (s *Server) URL() string { return "http://" + s.door.Addr() }

// Addr is host:port of the service.
func (s *Server) Addr() string { return s.door.Addr() }

// ControlURL has no slash at its end.
func (s *Server) ControlURL() string { return "http://" + s.where }

// Books of the channel.
func (s *Server) Books() *Books { return s.books }

// Keys of WeChat's dialect, for a folder that shall reach this channel.
func (s *Server) Keys() Keys { return s.keys.Keys }

// AddFaults puts rules into force: those of fault.HTTPKinds and of OwnKinds.
func (s *Server) AddFaults(rules ...fault.Rule) error {
	var common, own []fault.Rule
	for i, r := range rules {
		if isOwn(r.Fault) {
			if r.Operation != "" {
				return fmt.Errorf("rule %d: %s takes no operation", i+1, r.Fault)
			}
			r.Operation = string(r.Fault) // so that each kind is asked for by itself
			own = append(own, r)
			continue
		}
		if err := r.Check(fault.HTTPKinds); err != nil {
			return fmt.Errorf("rule %d: %w; of its own the channel knows %v", i+1, err, OwnKinds)
		}
		common = append(common, r)
	}
	if err := s.own.Add(own...); err != nil {
		return err
	}
	return s.script.Add(common...)
}

// Faults in force.
func (s *Server) Faults() []fault.Rule { return append(s.script.Rules(), s.own.Rules()...) }

// ClearFaults drops all rules and lets go what hangs.
func (s *Server) ClearFaults() {
	s.own.Clear()
	s.script.Clear()
}

// Close cuts what is in flight.
func (s *Server) Close() error {
	s.script.Close()
	s.own.Close()
	err := s.door.Close()
	if e := s.control.Close(); err == nil {
		err = e
	}
	s.serving.Wait()
	return err
}
