package pay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"hishub/core"
	"hishub/platform/clinic"
)

const noticePath = clinic.Prefix + "/notices/"

// mostNotice is how long a channel's notice may be.
const mostNotice = 64 << 10

// Notices takes what payment channels tell by themselves, at
// POST /clinic/v1/notices/{channel}/{hospital}. Nobody is signed in: a notice proves itself
// by its signature.
func (s *Service) Notices() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+noticePath+"{channel}/{hospital}", s.notice)
	return mux
}

func (s *Service) notice(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	hospital, name := r.PathValue("hospital"), core.Channel(r.PathValue("channel"))
	channel, err := s.Accounts.Account(ctx, hospital, name)
	if errors.Is(err, ErrNoAccount) || errors.Is(err, clinic.ErrNotFound) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, "", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostNotice))
	if err == nil {
		err = s.TakeNotice(ctx, hospital, name, channel, r.Header, body)
	}
	answer := channel.Answer(err == nil)
	if err != nil {
		s.Log.Warn("a channel's notice was not taken", "hospital", hospital, "channel", string(name), "error", err)
	}
	w.Header().Set("Content-Type", answer.Type)
	w.WriteHeader(answer.Status)
	_, _ = io.WriteString(w, answer.Body)
}

// TakeNotice takes one notice. The error is ErrForged for one that the channel did not
// sign; after any error it may be sent again.
func (s *Service) TakeNotice(ctx context.Context, hospital string, name core.Channel, channel Channel, header http.Header, body []byte) error {
	n, err := channel.Callback(ctx, header, body)
	if err != nil {
		return err
	}
	switch {
	case n.Payment != "":
		a, err := one(ctx, s.Database, `channel = $1 and no = $2 and hospital = $3`, name, n.Payment, hospital)
		if errors.Is(err, clinic.ErrNotFound) {
			// Of another program with the same account. Ours are written down before the channel hears of them.
			s.Log.Info("a notice is about a payment that is not ours", "hospital", hospital, "channel", string(name))
			return nil
		} else if err != nil {
			return err
		}
		if n.Money.State != Paid {
			return nil // nothing that cannot be asked
		}
		_, err = s.Said(ctx, a, n.Money)
		return err
	case n.Refund != "":
		r, err := s.refund(ctx, s.Database, n.Refund)
		if errors.Is(err, clinic.ErrNotFound) || err == nil && r.Hospital != hospital || strings.TrimSpace(n.Refund) == "" {
			return nil
		} else if err != nil {
			return err
		}
		// The channel is asked: the answer is of now, the notice of then.
		if _, err := s.Database.Exec(ctx, `update pay.refund set next_at = clock_timestamp() where no = $1 and next_at is not null`, r.No); err != nil {
			return err
		}
		_, err = s.Give(ctx, r.No)
		return err
	}
	return nil
}
