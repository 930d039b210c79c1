package certify

func (r *run) inbound() {}
