package control

import (
	"fmt"
	"net/http"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// Entrance is where callers come in: a fault.Door or fault.Lines.
type Entrance interface {
	Addr() string
	Close() error
}

// Site is what every running fake with its books in memory has: an entrance and the
// control port beside it. A fake embeds it.
type Site struct {
	entrance Entrance
	port     *Port
	ledger   *books.Books
	script   *fault.Script
}

// Join opens the control port of an entrance. more holds further patterns of a
// hospital's own. The entrance is closed when that fails.
func Join(entrance Entrance, addr string, ledger *books.Books, script *fault.Script, more map[string]http.HandlerFunc) (*Site, error) {
	port, err := Open(addr, Memory{Ledger: ledger, Script: script}, more)
	if err != nil {
		_ = entrance.Close()
		return nil, fmt.Errorf("control: %w", err)
	}
	return &Site{entrance: entrance, port: port, ledger: ledger, script: script}, nil
}

// Addr is host:port of the service.
func (s *Site) Addr() string { return s.entrance.Addr() }

// ControlURL has no slash at its end.
func (s *Site) ControlURL() string { return s.port.URL() }

// Books are a copy of what was accepted.
func (s *Site) Books() books.Export { return s.ledger.Export() }

// Script is the fault script, for tests in the same process.
func (s *Site) Script() *fault.Script { return s.script }

// Close cuts what is in flight.
func (s *Site) Close() error {
	s.script.Close()
	err := s.entrance.Close()
	if e := s.port.Close(); err == nil {
		err = e
	}
	return err
}
