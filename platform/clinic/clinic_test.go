package clinic

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core"
)

func TestStatesMove(t *testing.T) {
	m := States[string]{"a": {"b"}, "b": {"a", "c"}}
	for _, move := range []struct {
		from, to string
		may      bool
	}{{"a", "b", true}, {"b", "c", true}, {"a", "c", false}, {"a", "a", false}, {"c", "a", false}, {"nowhere", "a", false}} {
		got, err := m.Move(move.from, move.to)
		want := move.from
		if move.may {
			want = move.to
		}
		if got != want || errors.Is(err, ErrState) == move.may {
			t.Errorf("%s to %s: %s, %v", move.from, move.to, got, err)
		}
	}
}

// What a caller can mend has its status; anything else stays hidden behind a 500.
func TestAnswer(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("pay: %w", err) }
	for _, c := range []struct {
		err    error
		status int
	}{
		{core.Problems{{Field: "amount", What: "too much"}}, http.StatusUnprocessableEntity},
		{wrapped(core.Problems{{Field: "amount", What: "too much"}}), http.StatusUnprocessableEntity},
		{wrapped(&core.Conflict{ID: 1, Fields: []string{"amount"}}), http.StatusConflict},
		{wrapped(ErrNotFound), http.StatusNotFound},
		{wrapped(ErrState), http.StatusConflict},
		{wrapped(fmt.Errorf("%w: one visit", ErrRule)), http.StatusUnprocessableEntity},
		{wrapped(ErrNoService), http.StatusServiceUnavailable},
		{wrapped(&TooMany{After: time.Hour, What: "too many"}), http.StatusTooManyRequests},
	} {
		var status huma.StatusError
		if err := Answer(c.err); !errors.As(err, &status) || status.GetStatus() != c.status {
			t.Errorf("%v: %v", c.err, err)
		}
	}
	secret := errors.New("connect to 10.0.0.1")
	if err := Answer(secret); err != secret {
		t.Errorf("an inner error became %v", err)
	}
	if _, err := Reply(1, ErrNotFound); err == nil {
		t.Error("an error was answered as a success")
	}
	if out, err := Reply(1, nil); err != nil || out.Body != 1 {
		t.Errorf("%v, %v", out, err)
	}
}
