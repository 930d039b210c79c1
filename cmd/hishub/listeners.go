package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
)

// hear keeps the addresses open at which HIS call us over bare connections, and
// looks at the tables in which they leave what they have to say, as the active
// revisions want it, until ctx ends.
func (h *hub) hear(ctx context.Context) {
	server := h.inboundServer()
	ports, tables := &inbound.Ports{Server: server}, &inbound.Tables{Server: server}
	for {
		wantedPorts, wantedTables := h.wanted(ctx)
		ports.Set(wantedPorts)
		tables.Set(wantedTables)
		select {
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			tables.Close()
			ports.Close(stop)
			return
		case <-time.After(time.Second):
		}
	}
}

// wanted are ports in a fixed order, so that of two hospitals that want one
// address always the same has it, and tables. A hospital that does not open has
// none. A table is looked at by the process that works its hospital, unless that
// is paused.
func (h *hub) wanted(ctx context.Context) (ports []inbound.Port, tables []inbound.Watched) {
	for _, id := range h.hospitals.ids(func(string) bool { return true }) {
		opened, err := h.hospitals.Hospital(ctx, id, 0)
		if err != nil {
			continue // whoever asks it logs why
		}
		for name, l := range opened.Listeners {
			switch l.Wire.(type) {
			case core.Stream:
				ports = append(ports, inbound.Port{Address: l.Address, Hospital: id, Listener: name})
			case core.Table:
				if h.dispatcher.Holds(postgres.ShardOf(id)) && !h.hospitals.paused(id) {
					tables = append(tables, inbound.Watched{Hospital: id, Listener: name})
				}
			}
		}
	}
	slices.SortFunc(ports, func(a, b inbound.Port) int {
		return cmp.Or(cmp.Compare(a.Hospital, b.Hospital), cmp.Compare(a.Listener, b.Listener))
	})
	return ports, tables
}

// inboundServer takes what HIS tell us, however it comes.
func (h *hub) inboundServer() *inbound.Server {
	return &inbound.Server{
		Desk: h.desk, Log: h.log, Served: h.metrics.served, Codes: h.noteCodes,
		Hospital: func(ctx context.Context, id string) (*core.Hospital, error) { return h.hospitals.Hospital(ctx, id, 0) },
	}
}
