package mapping

import "hishub/core"

// ExplainedOpening is how something that the HIS said was opened.
type ExplainedOpening struct {
	Values []Computed
	// Rules is verify, where the dialect has it.
	Rules  []Ruled
	Opened core.Opened
}

// ExplainedReply is how a reply came about.
type ExplainedReply struct {
	Values []Computed
	Reply  core.Reply // empty beside Err
	Err    error
}

// ExplainOpening opens and tells how.
func ExplainOpening(d core.Door, a core.Arrival, s core.Stamp) ExplainedOpening {
	of, ok := d.(*door)
	if !ok {
		return ExplainedOpening{Opened: core.Opened{Arrival: a, Err: errUnknownMapper}}
	}
	e := &ear{}
	opened := of.heard(a, s, e)
	if x := of.kinds[opened.Kind]; x != nil && x.verify != nil && e.rules == nil {
		e.rules = []Ruled{{Name: "verify"}}
	}
	return ExplainedOpening{Values: once(e.values), Rules: e.rules, Opened: opened}
}

// ExplainReply words a resolution and tells how.
func ExplainReply(d core.Door, o core.Opened, r core.Resolution, s core.Stamp) ExplainedReply {
	of, ok := d.(*door)
	if !ok {
		return ExplainedReply{Err: errUnknownMapper}
	}
	e := &ear{}
	reply, err := of.reply(o, r, s, e)
	return ExplainedReply{Values: once(e.values), Reply: reply, Err: err}
}

// once keeps the last of the values that two runs came by: which call it is is
// found out before the operation reads.
func once(all []Computed) []Computed {
	type place struct{ layer, name string }
	last := map[place]int{}
	for i, c := range all {
		last[place{c.Layer, c.Name}] = i
	}
	var out []Computed
	for i, c := range all {
		if last[place{c.Layer, c.Name}] == i {
			out = append(out, c)
		}
	}
	return out
}
