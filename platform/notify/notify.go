// Package notify tells people that something happened: in the app's inbox, by SMS, by
// WeChat. What is to be told is saved with the fact, and sent until the gateway has taken
// it. A notice never says anything of a patient; the app does, to who is signed in.
package notify

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
	"hishub/platform/identity"
)

// Channel on which a notice goes.
type Channel string

// The channels. The inbox is a table and always there.
const (
	InApp  Channel = "inbox"
	SMS    Channel = "sms"
	WeChat Channel = "wechat"
)

var channels = []Channel{InApp, SMS, WeChat}

// Sender brings notices to people on one channel. key is the same at each try of one
// notice, for a gateway that knows what it has. ErrNobody when the account cannot be
// reached there. An error names neither the person nor the text.
type Sender interface {
	Send(ctx context.Context, key string, account int64, title, text string) error
}

// ErrNobody: trying again is no use.
var ErrNobody = errors.New("the account has no address on this channel")

// Phone is the Sender that tells by SMS.
type Phone struct {
	Gateway identity.Sender
	People  interface {
		Unmasked(ctx context.Context, account int64) (identity.Full, error)
	}
}

// Send implements Sender.
func (p Phone) Send(ctx context.Context, _ string, account int64, _, text string) error {
	who, err := p.People.Unmasked(ctx, account)
	if errors.Is(err, clinic.ErrNotFound) || err == nil && who.Phone == "" {
		return ErrNobody
	} else if err != nil {
		return errors.New("the phone of the account cannot be read")
	}
	return p.Gateway.Send(ctx, who.Phone, text)
}

// Service is the module.
type Service struct {
	*clinic.Clinic
	// Senders by channel; on a channel that has none nothing is sent.
	Senders map[Channel]Sender
	// Zone of the quiet hours.
	Zone *time.Location
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "notify", schema)
}

// Send tells an account of an event, once the caller's transaction is committed. An
// event or a parameter that is not in the tables is a mistake of the caller.
func (s *Service) Send(ctx context.Context, tx pgx.Tx, account int64, name string, params map[string]string) error {
	e, ok := events[name]
	if !ok {
		return fmt.Errorf("notify: no event %q", name)
	}
	said := map[string]string{}
	for p, value := range params {
		pattern := parameters[p]
		if pattern == nil {
			return fmt.Errorf("notify: %s: a notice says nothing of a patient; it may have %s, and not %q", name, allowed(), p)
		}
		if !pattern.MatchString(value) {
			return fmt.Errorf("notify: %s: parameter %s does not look like one", name, p) // without its value
		}
		said[p] = value
	}
	hospital := params["hospital"]
	if hospital != "" {
		place, err := s.Place(ctx, hospital)
		if err != nil {
			return fmt.Errorf("notify: %s: %w", name, err)
		}
		said["hospital"] = place.Name
	}
	wanted, language, err := s.wanted(ctx, tx, account, e.kind)
	if err != nil {
		return fmt.Errorf("notify: %s: %w", name, err)
	}
	for _, channel := range wanted {
		words := e.words[language]
		err := tx.QueryRow(ctx, `select title, text from notify.template where hospital = $1 and event = $2 and language = $3 and channel = $4`, hospital, name, language, channel).Scan(&words.Title, &words.Text)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("notify: %s: %w", name, err)
		}
		notice, err := words.with(said)
		if err != nil { // the hospital's own words want more than there is: ours say it
			if notice, err = e.words[language].with(said); err != nil {
				return fmt.Errorf("notify: %s: %w", name, err)
			}
		}
		if channel == InApp {
			_, err = tx.Exec(ctx, `insert into notify.inbox (account, event, hospital, no, title, text) values ($1, $2, $3, $4, $5, $6)`, account, name, hospital, params["no"], notice.Title, notice.Text)
		} else {
			_, err = tx.Exec(ctx, `insert into notify.outbox (account, channel, event, hospital, urgent, title, text) values ($1, $2, $3, $4, $5, $6, $7)`, account, channel, name, hospital, e.urgent, notice.Title, notice.Text)
		}
		if err != nil {
			return fmt.Errorf("notify: %s: %w", name, err)
		}
	}
	return nil
}

// wanted are the channels on which an account hears of a kind, and its language.
func (s *Service) wanted(ctx context.Context, tx pgx.Tx, account int64, kind string) (on []Channel, language string, err error) {
	var not []Channel
	err = tx.QueryRow(ctx, `select coalesce((select language from notify.setting where account = $1), $3),
		array(select channel from notify.unwanted where account = $1 and kind = $2)`, account, kind, languages[0]).Scan(&language, &not)
	for _, c := range channels {
		if c == InApp || s.Senders[c] != nil && !slices.Contains(not, c) {
			on = append(on, c)
		}
	}
	return on, language, err
}
