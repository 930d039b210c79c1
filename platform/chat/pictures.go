package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Picture that a member put into a conversation. Others see it once it was sent.
type Picture struct {
	No     string    `json:"picture" doc:"its number, for a message of kind image"`
	Type   string    `json:"type" enum:"image/jpeg,image/png"`
	Width  int       `json:"width"`
	Height int       `json:"height"`
	Size   int       `json:"bytes"`
	At     time.Time `json:"at"`
}

const (
	// maxUpload of a picture, in bytes.
	maxUpload = 10 << 20
	// maxPictures that a member puts into one conversation.
	maxPictures = 100
)

// The parts in which a picture is kept.
const whole, small = "whole", "small"

// Upload puts a picture into a conversation, drawn anew: nothing of the file stays but what
// it shows. The same client id again is the same picture.
func (s *Service) Upload(ctx context.Context, p clinic.Person, conversation, clientID string, file []byte) (Picture, error) {
	seat, err := s.seat(ctx, s.Database, p, conversation)
	if err != nil {
		return Picture{}, err
	}
	sum := sha256.Sum256(file)
	digest := s.Vault.Index(hex.EncodeToString(sum[:]), "chat picture")
	of := upload{conversation, p.Account, clientID, digest}
	switch known, err := of.known(ctx, s.Database); {
	case err == nil || !errors.Is(err, clinic.ErrNotFound):
		return known, err
	case clientID == "":
		return Picture{}, core.Problems{{Field: "client_id", What: "missing"}}
	case seat.closed:
		return Picture{}, errOver
	}
	d, err := redraw(ctx, file)
	if err != nil {
		return Picture{}, err
	}
	var kept Picture
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		// A member's uploads go one after the other, each counted.
		if _, err := tx.Exec(ctx, `select from chat.member where conversation = $1 and account = $2 for update`, conversation, p.Account); err != nil {
			return err
		}
		if kept, err = of.known(ctx, tx); !errors.Is(err, clinic.ErrNotFound) {
			return err
		}
		kept, err = s.keep(ctx, tx, of, d)
		return err
	})
	if err != nil {
		return Picture{}, fmt.Errorf("keep a picture: %w", err)
	}
	return kept, nil
}

// upload is whose picture it is, and of what file.
type upload struct {
	conversation string
	account      int64
	clientID     string
	digest       []byte
}

// known is the picture that was uploaded before with that client id, or clinic.ErrNotFound.
func (u upload) known(ctx context.Context, q querier) (k Picture, err error) {
	var same bool
	err = q.QueryRow(ctx, `select no, type, width, height, size, at, digest = $4 from chat.picture where conversation = $1 and account = $2 and client_id = $3`,
		u.conversation, u.account, u.clientID, u.digest).Scan(&k.No, &k.Type, &k.Width, &k.Height, &k.Size, &k.At, &same)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Picture{}, clinic.ErrNotFound
	case err != nil:
		return Picture{}, err
	case !same:
		return Picture{}, fmt.Errorf("%w: this client id was used for another picture", clinic.ErrState)
	}
	return k, nil
}

func (s *Service) keep(ctx context.Context, tx pgx.Tx, u upload, d drawn) (Picture, error) {
	k := Picture{No: clinic.NewNumber("CI", time.Now()), Type: d.typ, Width: d.width, Height: d.height, Size: len(d.whole)}
	var before int
	if err := tx.QueryRow(ctx, `select count(*) from chat.picture where conversation = $1 and account = $2`, u.conversation, u.account).Scan(&before); err != nil {
		return k, err
	}
	if before >= maxPictures {
		return k, fmt.Errorf("%w: a conversation has %d pictures of one person at most", clinic.ErrRule, maxPictures)
	}
	if err := tx.QueryRow(ctx, `insert into chat.picture (no, conversation, account, client_id, digest, type, width, height, size) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning at`,
		k.No, u.conversation, u.account, u.clientID, u.digest, k.Type, k.Width, k.Height, k.Size).Scan(&k.At); err != nil {
		return k, err
	}
	for part, content := range map[string][]byte{whole: d.whole, small: d.small} {
		sealed, err := s.Vault.Seal(content, "chat picture", k.No+"/"+part)
		if err != nil {
			return k, err
		}
		if _, err := tx.Exec(ctx, `insert into chat.picture_bytes (picture, part, at, sealed) values ($1, $2, $3, $4)`, k.No, part, k.At, sealed); err != nil {
			return k, err
		}
	}
	return k, nil
}

// show makes a picture one that the other sees: within the message that sends it.
func (s *Service) show(ctx context.Context, tx pgx.Tx, conversation string, account int64, no string) error {
	var fresh bool
	err := tx.QueryRow(ctx, `update chat.picture set sent_at = coalesce(sent_at, clock_timestamp()) where no = $1 and conversation = $2 and account = $3
		returning at > clock_timestamp() - interval '1 day'`, no, conversation, account).Scan(&fresh)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return core.Problems{{Field: "image", What: "is no picture that you have put into this conversation; one that is not sent within a day is taken away"}}
	case err != nil:
		return err
	case !fresh: // its bytes are kept by its own month
		return fmt.Errorf("%w: the picture is more than a day old; upload it again", clinic.ErrState)
	}
	return nil
}

// View is what a picture shows, and as what type it is written.
type View struct {
	Type    string
	Content []byte
}

// Look shows a picture to a member of its conversation: clinic.ErrNotFound to everybody
// else, and before it was sent.
func (s *Service) Look(ctx context.Context, p clinic.Person, conversation, no string, part string) (v View, err error) {
	if _, err := s.seat(ctx, s.Database, p, conversation); err != nil {
		return v, err
	}
	var sealed []byte
	err = s.Database.QueryRow(ctx, `select p.type, b.sealed from chat.picture p join chat.picture_bytes b on b.picture = p.no and b.at = p.at and b.part = $4
		where p.no = $1 and p.conversation = $2 and (p.sent_at is not null or p.account = $3)`, no, conversation, p.Account, part).Scan(&v.Type, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, clinic.ErrNotFound
	}
	if err == nil {
		v.Content, err = s.Vault.Open(sealed, "chat picture", no+"/"+part)
	}
	if err != nil {
		return v, fmt.Errorf("read picture %s: %w", no, err)
	}
	if part == small {
		v.Type = typeJPEG
	}
	clinic.About(ctx, "conversation "+conversation+" picture "+no)
	return v, nil
}

// unsent takes the pictures away that nobody sent within a day.
func (s *Service) unsent(ctx context.Context) error {
	_, err := s.Database.Exec(ctx, `with gone as (delete from chat.picture where sent_at is null and at < clock_timestamp() - interval '1 day' returning no, at)
		delete from chat.picture_bytes b using gone where b.picture = gone.no and b.at = gone.at`)
	if err != nil {
		return fmt.Errorf("take unsent pictures away: %w", err)
	}
	return nil
}
