package mapping

import (
	"bytes"

	"github.com/expr-lang/expr/ast"
)

// seal closes a recorded answer for this request: where it was sealed with something
// of the request that it answered, as a vector made of its number, it could not be
// opened here. What each layer held is opened with the request of its case and put
// where this request's layer is read.
func (w *wording) seal(c *recordedCase) {
	was := w.mirror.word(w.m, c.in, w.response)
	for _, s := range w.m.unit.slots {
		cell, ok := s.of.(cellPart)
		if !ok || cell.program == nil || cell.program.tree == nil {
			continue
		}
		read, ok := cell.program.tree.node.(*ast.CallNode)
		if !ok || calledName(read) != readCall {
			continue
		}
		before := w.response
		err := w.within(cell.program, func(ast.Node) error {
			was.tree = w.tree
			held, err := was.eval(read.Arguments[2])
			if err != nil || held == nil {
				return err
			}
			if now, err := w.eval(read.Arguments[2]); err == nil && sameText(now, held) {
				return nil
			}
			return w.put(read.Arguments[2], held)
		})
		if err != nil {
			w.backTo(before)
		}
	}
}

func sameText(a, b any) bool {
	x, ok1 := a.([]byte)
	y, ok2 := b.([]byte)
	if ok1 && ok2 {
		return bytes.Equal(x, y)
	}
	return equalValue(a, b)
}
