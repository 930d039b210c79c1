package shadow

import (
	"encoding/json"
	"maps"
	"slices"

	"hishub/core"
)

// arrival reads again what the HIS told us, as far as its body tells: headers and
// query are not kept.
func (w *work) arrival(old *Side, a Arrival) {
	stamp := core.Stamp{Time: a.At, At: a.At, ID: standIn(a.ID, 1), Serial: a.ID, Number: 1}
	before, listener, ok := hear(old.Dialect, a, stamp, "")
	if !ok || !same(before.Body, a.Body) {
		w.report.Lost++
		return
	}
	d := Difference{Message: a.ID, Inbound: true, Kind: a.Kind, Call: listener}
	after, _, found := hear(w.New.Dialect, a, stamp, listener)
	if !found {
		d.What, d.Place, d.New = Gone, "no listener takes it", "no listener takes it"
		if after.Err != nil {
			d.New = w.hidden(old, a.Body, after.Err.Error())
		}
		w.count([]Difference{d})
		return
	}
	var ds []Difference
	for _, f := range fields(before.Body, after.Body) {
		x := differing(d, Taken, f.old, f.new, w.hidden(old, a.Body, f.old), w.hidden(old, a.Body, f.new))
		x.Place = f.name
		ds = append(ds, x)
	}
	oldReply, err1 := reply(old.Listeners[listener], before, a.Resolution, stamp)
	newReply, err2 := reply(w.New.Listeners[listener], after, a.Resolution, stamp)
	if err1 == nil && (err2 != nil || string(oldReply) != string(newReply)) {
		text := w.Text(newReply)
		if err2 != nil {
			text = err2.Error()
		}
		ds = append(ds, differing(d, Replied, w.Text(oldReply), text, w.hidden(old, a.Body, w.Text(oldReply)), w.hidden(old, a.Body, text)))
	}
	w.count(ds)
}

// hear opens a request at the listener of that name, or at any that takes the kind.
func hear(d *core.Dialect, a Arrival, s core.Stamp, name string) (o core.Opened, listener string, ok bool) {
	for _, n := range slices.Sorted(maps.Keys(d.Listeners)) {
		l := d.Listeners[n]
		if name != "" && n != name || !slices.Contains(l.Kinds, a.Kind) || l.Wire == nil {
			continue
		}
		arrival, err := l.Wire.Read(core.Incoming{Method: "POST", Path: "/", Body: a.Request})
		if err != nil {
			o.Err = err
			continue
		}
		if o = l.Door.Open(arrival, s); o.Kind == a.Kind && o.Body != nil {
			return o, n, true
		}
	}
	return o, "", false
}

func reply(l *core.Listener, o core.Opened, r core.Resolution, s core.Stamp) ([]byte, error) {
	said, err := l.Door.Reply(o, r, s)
	if err != nil {
		return nil, err
	}
	out, err := l.Wire.Write(o.Arrival, said)
	return out.Body, err
}

func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
