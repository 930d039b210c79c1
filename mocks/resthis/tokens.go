package resthis

import (
	"sync"
	"time"

	"hishub/mocks/books"
)

// tokens that were issued and until when they are good.
type tokens struct {
	life time.Duration

	mu        sync.Mutex
	access    map[string]time.Time
	refreshes map[string]time.Time
}

func newTokens(life time.Duration) *tokens {
	return &tokens{life: life, access: map[string]time.Time{}, refreshes: map[string]time.Time{}}
}

type login struct {
	AccessToken     string `json:"accessToken"`
	AccessPastTime  string `json:"accessPastTime"`
	RefreshToken    string `json:"refreshToken"`
	RefreshPastTime string `json:"refreshPastTime"`
}

func (t *tokens) issue() login {
	now := time.Now().In(books.Zone)
	l := login{
		AccessToken: newID(), AccessPastTime: now.Add(t.life).Format(books.TimeLayout),
		RefreshToken: newID(), RefreshPastTime: now.Add(24 * time.Hour).Format(books.TimeLayout),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.access[l.AccessToken] = now.Add(t.life)
	t.refreshes[l.RefreshToken] = now.Add(24 * time.Hour)
	return l
}

func (t *tokens) good(access string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.access[access])
}

func (t *tokens) renewable(refresh string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.refreshes[refresh])
}

// expire ends all access tokens; refresh tokens stay.
func (t *tokens) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.access)
}
