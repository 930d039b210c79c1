package certify

import (
	"sync"

	"hishub/core"
	"hishub/core/delivery"
)

// mostParallel bounds what a test HIS is asked to bear.
const mostParallel = 16

// limits is chapter H.
func (r *run) limits() {
	r.item("H.parallel", "", r.parallel)
}

func (r *run) parallel(it *Item) {
	n := min(r.hospital.Limits.Concurrency, mostParallel)
	if n < 2 {
		it.notApplicable("该院只允许一次一笔", "this hospital is called one at a time")
		return
	}
	kind, ok := r.cheapest()
	if !ok {
		it.notTried("没有可用的写入交易", "there is no write to try it with")
		return
	}
	var bodies []core.Body
	for range n {
		body := r.begin(it, kind)
		if body == nil {
			return
		}
		bodies = append(bodies, body)
	}
	messages := make([]*message, n)
	for i, body := range bodies {
		messages[i] = r.ledger.accept(kind, body, watch{})
	}
	var all sync.WaitGroup
	for _, m := range messages {
		all.Go(func() { r.await(m) })
	}
	all.Wait()
	numbers := map[string]string{}
	for _, m := range messages {
		r.note(m)
		if m.last.State != delivery.Delivered {
			r.seeAll(it, m)
			it.fail("%s 没有受理：%s", "%s was not taken: %s", m.Body.Key(), ended(m))
			continue
		}
		r.kept(it, m)
		if m.last.Receipt == nil || m.last.Receipt.HisNo == "" {
			continue
		}
		if other := numbers[m.last.Receipt.HisNo]; other != "" {
			it.fail("两笔得到同一个 HIS 号：%s", "two of them have the HIS's number %s", m.last.Receipt.HisNo)
		}
		numbers[m.last.Receipt.HisNo] = m.Body.Key()
	}
	r.notAsked(it, kind)
	it.say("%s，%d 笔同时发送", "%s, %d at once", kind, n)
}

// cheapest is a write without money, if there is one.
func (r *run) cheapest() (core.Kind, bool) {
	for _, kind := range []core.Kind{core.PrescriptionCreate, core.OrderCreate, core.PatientRegister} {
		if r.hospital.Operations[kind] != nil {
			return kind, true
		}
	}
	for _, kind := range r.kinds() {
		if !r.withoutMoney(kind) {
			return kind, true
		}
	}
	return "", false
}
