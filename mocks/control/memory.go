package control

import (
	"context"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// Memory is a Hospital whose books and script are in memory.
type Memory struct {
	Ledger *books.Books
	Script *fault.Script
}

func (m Memory) Books(context.Context) (books.Export, error)       { return m.Ledger.Export(), nil }
func (m Memory) Edit(_ context.Context, e books.Edit) error        { return m.Ledger.Edit(e) }
func (m Memory) Faults(context.Context) ([]fault.Rule, error)      { return m.Script.Rules(), nil }
func (m Memory) AddFaults(_ context.Context, r []fault.Rule) error { return m.Script.Add(r...) }
func (m Memory) ClearFaults(context.Context) error                 { m.Script.Clear(); return nil }
