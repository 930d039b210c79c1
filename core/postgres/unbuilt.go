package postgres

import (
	"context"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

func (s *Store) SaveStatement(ctx context.Context, t reconcile.Statement, entries reconcile.Stream) (reconcile.Statement, error) {
	panic("not built yet")
}
func (s *Store) Statements(ctx context.Context, hospital, day string) ([]reconcile.Statement, error) {
	panic("not built yet")
}
func (s *Store) StatementEntries(ctx context.Context, statements ...int64) reconcile.Stream {
	panic("not built yet")
}
func (s *Store) Records(ctx context.Context, hospital string, from, to time.Time) ([]reconcile.Prescribed, error) {
	panic("not built yet")
}
func (s *Store) Progress(ctx context.Context, night int64, stage string, done int64, lease time.Duration) error {
	panic("not built yet")
}
func (s *Store) Found(ctx context.Context, night int64, findings []reconcile.Finding) error {
	panic("not built yet")
}
func (s *Store) Days(ctx context.Context, hospital, from, to string) (closed, unsettled []string, err error) {
	panic("not built yet")
}
func (s *Store) Cases(ctx context.Context, q reconcile.CaseQuery) ([]reconcile.Case, error) {
	panic("not built yet")
}
func (s *Store) Case(ctx context.Context, id int64) (reconcile.Case, []reconcile.Trail, error) {
	panic("not built yet")
}
func (s *Store) Note(ctx context.Context, id int64, who, note string) error { panic("not built yet") }
func (s *Store) Assign(ctx context.Context, id int64, who, owner string) error {
	panic("not built yet")
}
func (s *Store) Propose(ctx context.Context, id int64, action reconcile.Action, p reconcile.Params, who, note string) (reconcile.Repair, error) {
	panic("not built yet")
}
func (s *Store) Approve(ctx context.Context, repair int64, who, note string, fourEyesFrom core.Fen) (reconcile.Repair, error) {
	panic("not built yet")
}
func (s *Store) Reject(ctx context.Context, repair int64, who, note string) (reconcile.Repair, error) {
	panic("not built yet")
}
func (s *Store) ToCarryOut(ctx context.Context, hospital string) ([]reconcile.Repair, error) {
	panic("not built yet")
}
func (s *Store) CarryOut(ctx context.Context, repair int64, f func(ctx context.Context, c reconcile.Case, r reconcile.Repair, do reconcile.Carrier) (message int64, err error)) (reconcile.Repair, error) {
	panic("not built yet")
}
func (s *Store) Follow(ctx context.Context, hospital string) error { panic("not built yet") }
func (s *Store) SaveSettlement(ctx context.Context, t reconcile.Settlement) error {
	panic("not built yet")
}
func (s *Store) Settlements(ctx context.Context, hospital, from, to string) ([]reconcile.Settlement, error) {
	panic("not built yet")
}
func (s *Store) Refunds(ctx context.Context, hospital string, from, to time.Time) ([]reconcile.RefundLine, error) {
	panic("not built yet")
}
