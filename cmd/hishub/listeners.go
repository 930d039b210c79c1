package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"hishub/core"
	"hishub/core/inbound"
)

// servePorts keeps the addresses open at which HIS call us over bare
// connections, as the active revisions say, until ctx ends.
func (h *hub) servePorts(ctx context.Context) {
	ports := &inbound.Ports{Server: h.inboundServer()}
	for {
		ports.Set(h.wantedPorts(ctx))
		select {
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			ports.Close(stop)
			return
		case <-time.After(time.Second):
		}
	}
}

// wantedPorts are in a fixed order, so that of two hospitals that want one
// address always the same has it. A hospital that does not open has none.
func (h *hub) wantedPorts(ctx context.Context) (wanted []inbound.Port) {
	for _, id := range h.hospitals.ids(func(string) bool { return true }) {
		opened, err := h.hospitals.Hospital(ctx, id, 0)
		if err != nil {
			continue // whoever asks it logs why
		}
		for name, l := range opened.Listeners {
			if _, ok := l.Wire.(core.Stream); ok {
				wanted = append(wanted, inbound.Port{Address: l.Address, Hospital: id, Listener: name})
			}
		}
	}
	slices.SortFunc(wanted, func(a, b inbound.Port) int {
		return cmp.Or(cmp.Compare(a.Hospital, b.Hospital), cmp.Compare(a.Listener, b.Listener))
	})
	return wanted
}

// inboundServer takes what HIS tell us, however it comes.
func (h *hub) inboundServer() *inbound.Server {
	return &inbound.Server{
		Desk: h.desk, Log: h.log, Served: h.metrics.served,
		Hospital: func(ctx context.Context, id string) (*core.Hospital, error) { return h.hospitals.Hospital(ctx, id, 0) },
	}
}
