package month

func (w *world) states() {}
func (w *world) last()   {}
func (w *world) again()  {}
func (w *world) judge()  {}
func (w *world) report() { w.Logf("seed %d: %v", w.seed, w.counted) }
