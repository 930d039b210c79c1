package db

import (
	"context"
	"slices"

	"hishub/core"
)

// plainWords begin statements that leave a session as they found it: no transaction
// open, no setting changed.
var plainWords = []string{"select", "with", "values", "insert", "update", "delete", "merge", "replace"}

// isPlain is careful: what begins with a comment is not.
func isPlain(sql string) bool { return slices.Contains(plainWords, firstWord(sql)) }

// settle ends the transaction that a procedure began and did not end, before its
// answer counts: the session ends with the call, and what it left open with it. The
// database may have ended it by itself, so a refusal tells nothing.
func (c *Connector) settle(ctx context.Context, on session) error {
	if c.engine.settle == "" {
		return nil
	}
	_, err := c.step(ctx, on, statement{sql: c.engine.settle}, false)
	if err != nil {
		return &core.Fault{Class: core.InDoubt, Err: reason(c.engine.judged(err), err)}
	}
	return nil
}

// leftOpen: the answer says that it went well, but it lasts no longer than the session.
var leftOpen = &refusal{code: "an open transaction", public: "what was sent began a transaction and did not end it"}
