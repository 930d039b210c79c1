package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// WeChat finds who a login code of WeChat's is.
type WeChat interface {
	// OpenID returns ErrRefused for a code that is none.
	OpenID(ctx context.Context, code string) (string, error)
}

// WeChatStandIn takes codes like "test-zhang" for the person "zhang". It checks
// nothing: for trying out only.
type WeChatStandIn struct{}

// OpenID implements WeChat.
func (WeChatStandIn) OpenID(_ context.Context, code string) (string, error) {
	who, ok := strings.CutPrefix(code, "test-")
	if !ok || who == "" {
		return "", ErrRefused
	}
	return "stand-in-" + who, nil
}

const bindLasts = 10 * time.Minute

func (s *Service) openID(ctx context.Context, code, address string) (string, error) {
	if s.WeChat == nil {
		return "", fmt.Errorf("%w: WeChat is not set up", clinic.ErrNoService)
	}
	if err := s.tried(ctx, address); err != nil {
		return "", err
	}
	return s.WeChat.OpenID(ctx, code)
}

// ByWeChat signs in whose WeChat is bound to an account. Where none is, bind is a
// ticket for ByPhone, which binds it.
func (s *Service) ByWeChat(ctx context.Context, code string, v Visitor) (o Opened, bind string, err error) {
	openID, err := s.openID(ctx, code, v.Address)
	if err != nil {
		return o, "", err
	}
	r, err := s.find(ctx, s.Database, "id = (select account from identity.wechat where open_id_index = $1)", s.index(openID, "wechat"))
	if err == nil {
		o, err = s.begin(ctx, r, v)
		return o, "", err
	}
	if err != clinic.ErrNotFound {
		return o, "", err
	}
	bind = newToken("cb_")
	value, err := s.Vault.Seal([]byte(openID), "identity bind", digestOf(bind))
	if err != nil {
		return o, "", err
	}
	return o, bind, s.Memory.Put(ctx, "bind:"+digestOf(bind), value, bindLasts)
}

func (s *Service) bindTicket(ctx context.Context, r record, bind string) error {
	key := "bind:" + digestOf(bind)
	sealed, ok, err := s.Memory.Get(ctx, key)
	if err != nil {
		return err
	}
	if !ok {
		return ErrRefused
	}
	if n, err := s.Memory.Delete(ctx, key); err != nil || n != 1 {
		if err != nil {
			return err
		}
		return ErrRefused
	}
	openID, err := s.Vault.Open(sealed, "identity bind", digestOf(bind))
	if err != nil {
		return err
	}
	return s.bind(ctx, r.ID, string(openID))
}

// BindWeChat binds the WeChat of a code to the account that is signed in. It is another
// way to sign in, so it takes a step-up: a session that somebody took is not enough.
func (s *Service) BindWeChat(ctx context.Context, p clinic.Person, code, address string) error {
	if err := s.Proved(ctx, p); err != nil {
		return err
	}
	openID, err := s.openID(ctx, code, address)
	if err != nil {
		return err
	}
	return s.bind(ctx, p.Account, openID)
}

func (s *Service) bind(ctx context.Context, account int64, openID string) error {
	sealed, err := s.seal(openID, "wechat", account)
	if err != nil {
		return err
	}
	err = s.change(ctx, account, clinic.Act{Person: clinic.Person{Account: account}, Verb: "bind wechat"}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into identity.wechat (open_id_index, open_id, account) values ($1, $2, $3)`, s.index(openID, "wechat"), sealed, account)
		return err
	})
	if clinic.Duplicate(err) {
		return fmt.Errorf("%w: that WeChat has an account, or this account has a WeChat; unbind it first", clinic.ErrState)
	}
	return err
}

// UnbindWeChat takes the WeChat off the account that is signed in.
func (s *Service) UnbindWeChat(ctx context.Context, p clinic.Person) error {
	return s.change(ctx, p.Account, clinic.Act{Person: p, Verb: "unbind wechat"}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `delete from identity.wechat where account = $1`, p.Account)
		if err == nil && tag.RowsAffected() == 0 {
			return clinic.ErrNotFound
		}
		return err
	})
}

// pending is a staff member whose password was right and whose second factor is
// still to come.
type pending struct {
	Account    int64 `json:"account"`
	Generation int   `json:"generation"`
}

const pendingLasts = 5 * time.Minute

func (s *Service) keepPending(ctx context.Context, r record) (string, error) {
	ticket := newToken("cp_")
	value, err := json.Marshal(pending{r.ID, r.generation})
	if err != nil {
		return "", err
	}
	return ticket, s.Memory.Put(ctx, "pending:"+digestOf(ticket), value, pendingLasts)
}

// pendingOf returns ErrRefused for a ticket that is none, or over.
func (s *Service) pendingOf(ctx context.Context, ticket string) (record, error) {
	value, ok, err := s.Memory.Get(ctx, "pending:"+digestOf(ticket))
	if err != nil {
		return record{}, err
	}
	var p pending
	if !ok || json.Unmarshal(value, &p) != nil {
		return record{}, ErrRefused
	}
	r, err := s.find(ctx, s.Database, "id = $1", p.Account)
	if err != nil {
		return r, err
	}
	if r.generation != p.Generation || r.Disabled {
		return r, ErrRefused
	}
	return r, nil
}

// spendPending: only one gets the session.
func (s *Service) spendPending(ctx context.Context, ticket string) error {
	n, err := s.Memory.Delete(ctx, "pending:"+digestOf(ticket))
	if err == nil && n != 1 {
		err = ErrRefused
	}
	return err
}
