package alert

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// still is a store that gives one letter, after this process stood still for a while.
type still struct {
	stood time.Duration
	given bool
	told  []string
}

func (s *still) TakeLetters(context.Context, []Wanted, time.Duration) ([]Letter, error) {
	if s.given {
		return nil, nil
	}
	s.given = true
	time.Sleep(s.stood)
	return []Letter{{ID: "one", Route: "board"}}, nil
}

func (s *still) LetterTold(_ context.Context, l Letter, _ time.Duration) error {
	s.told = append(s.told, "told "+l.ID)
	return nil
}

func (s *still) LetterFailed(_ context.Context, l Letter, _ time.Duration, _ string) error {
	s.told = append(s.told, "failed "+l.ID)
	return nil
}

func (s *still) ForgetAlerts(context.Context) error { return nil }

// count is a channel that counts what it is sent.
type count struct{ sent int }

func (c *count) Send(context.Context, Letter) error { c.sent++; return nil }
func (c *count) Pause() time.Duration               { return 0 }
func (c *count) Address() string                    { return "board:443" }

// A process that stood still between taking a letter and sending it does neither
// send it nor say how it went: another has the route soon, and people hear once.
func TestWhoStoodStillTellsNobody(t *testing.T) {
	for stood, sent := range map[time.Duration]int{0: 1, lease/2 - time.Second: 1, lease/2 + time.Second: 0, time.Hour: 0} {
		synctest.Test(t, func(t *testing.T) {
			s, c := &still{stood: stood}, &count{}
			one := &Teller{Store: s, Log: slog.New(slog.DiscardHandler)}
			one.Use(&Plan{Routes: []Route{{Name: "board", channel: c}}})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { one.Run(ctx); close(ended) }()
			time.Sleep(2 * time.Hour)
			stop()
			<-ended
			if c.sent != sent || len(s.told) != sent {
				t.Errorf("stood still for %s: sent %d, noted %v; want %d", stood, c.sent, s.told, sent)
			}
		})
	}
}
