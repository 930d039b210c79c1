package identity

import (
	"context"
	_ "embed"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"hishub/core"
)

const (
	shortestPassword = 12
	longestPassword  = 128 // bytes: hashing must stay cheap
)

//go:embed passwords.txt
var commonText string

// common are passwords that everybody tries first.
var common = func() map[string]bool {
	all := map[string]bool{}
	for _, p := range strings.Fields(commonText) {
		all[p] = true
	}
	return all
}()

// checkPassword returns what is wrong with a new password.
func checkPassword(password, name string) error {
	wrong := func(what string) error { return core.Problems{{Field: "password", What: what}} }
	lower := strings.ToLower(password)
	kinds := map[rune]bool{}
	for _, r := range password {
		kinds[r] = true
	}
	switch {
	case utf8.RuneCountInString(password) < shortestPassword:
		return wrong("shorter than 12 characters")
	case len(password) > longestPassword:
		return wrong("longer than 128 bytes")
	case len(kinds) < 5:
		return wrong("has fewer than 5 different characters")
	case common[lower]:
		return wrong("one of those that everybody tries first")
	case name != "" && strings.Contains(lower, strings.ToLower(name)):
		return wrong("holds the name that goes with it")
	}
	return nil
}

// hashing takes 19 MiB and two rounds, as OWASP's password storage cheat sheet asks for
// argon2id.
var hashParams = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

func compareHash(password, hash string) (bool, error) {
	return argon2id.ComparePasswordAndHash(password, hash)
}

// hashFor nobody: a name without an account, or without a password, costs the same time.
const nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$BXVYvqhvlzJ0xNLqi4RtCgGxTfsYZDGWhPUeYEfYEzE"

func (s *Service) turn(ctx context.Context) (release func(), err error) {
	select {
	case s.hashing <- struct{}{}:
		return func() { <-s.hashing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Service) hash(ctx context.Context, password string) (string, error) {
	release, err := s.turn(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return argon2id.CreateHash(password, hashParams)
}

// holds compares a password with a hash, "" with nobody's: it takes the same time and
// never holds.
func (s *Service) holds(ctx context.Context, password, hash string) (bool, error) {
	release, err := s.turn(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	if hash == "" {
		_, err := s.compare(password, nobodysHash)
		return false, err
	}
	return s.compare(password, hash)
}
