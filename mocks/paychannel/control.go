package paychannel

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"hishub/mocks/fault"
)

// openControl opens the second port: books, faults and keys, out of reach of the faults.
//
//	GET  /books            everything, as Export
//	POST /payments         one Payment or a list: money that somebody paid, at any time
//	POST /refunds          one Refund or a list: money that went back without the API
//	POST /refunds/settle   {"channel","number","state","at"}: what becomes of a refund later
//	POST /clock            {"now": "2026-01-05T10:00:00+08:00"}: the books' clock goes on from there
//	GET  /trades           what merchants asked for
//	GET  /wallet           a page on which what was asked for is paid
//	POST /wallet/pay       {"channel","number","amount_fen"}: the payer pays; the merchant is told
//	POST /notices/send     what was not taken, or held back, is sent again
//	GET  /keys             Keys, for a folder
//	GET  /keys/alipay      AlipayKeys, for a folder
//	GET, POST, DELETE /faults
func (s *Server) openControl() error {
	listener, err := net.Listen("tcp", s.options.Control)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /books", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.books.Export(), nil) })
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Keys(), nil) })
	mux.HandleFunc("GET /keys/alipay", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.AlipayKeys(), nil) })
	mux.HandleFunc("POST /payments", func(w http.ResponseWriter, r *http.Request) {
		addAll(w, r, s.books.Pay)
	})
	mux.HandleFunc("POST /refunds", func(w http.ResponseWriter, r *http.Request) {
		addAll(w, r, func(refund Refund) (Refund, error) {
			booked, _, err := s.books.Refund(refund)
			return booked, err
		})
	})
	mux.HandleFunc("POST /refunds/settle", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Channel, Number, State string
			At                     time.Time
		}
		if err := decode(r, &q); err != nil {
			answer(w, nil, err)
			return
		}
		settled, err := s.books.Settle(q.Channel, q.Number, q.State, q.At)
		answer(w, settled, err)
	})
	mux.HandleFunc("POST /clock", func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Now time.Time }
		if err := decode(r, &q); err != nil {
			answer(w, nil, err)
			return
		}
		s.books.SetClock(nil)
		if !q.Now.IsZero() {
			from := time.Now()
			s.books.SetClock(func() time.Time { return q.Now.Add(time.Since(from)) })
		}
		answer(w, map[string]time.Time{"now": s.books.Now()}, nil)
	})
	mux.HandleFunc("GET /trades", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.books.Trades(), nil) })
	mux.HandleFunc("GET /wallet", s.wallet)
	mux.HandleFunc("POST /wallet/pay", s.walletPay)
	mux.HandleFunc("POST /notices/send", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]int{"taken": s.SendNotices()}, nil)
	})
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Faults(), nil) })
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		rules, err := oneOrMore[fault.Rule](r)
		if err == nil {
			err = s.AddFaults(rules...)
		}
		answer(w, s.Faults(), err)
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		answer(w, []fault.Rule{}, nil)
	})
	s.where = listener.Addr().String()
	s.control = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	s.serving.Go(func() { _ = s.control.Serve(listener) })
	return nil
}

// addAll books what came, in order, and answers with what was booked; it stops at
// the first that the books refuse.
func addAll[T any](w http.ResponseWriter, r *http.Request, add func(T) (T, error)) {
	list, err := oneOrMore[T](r)
	booked := make([]T, 0, len(list))
	for _, x := range list {
		var b T
		if b, err = add(x); err != nil {
			break
		}
		booked = append(booked, b)
	}
	answer(w, booked, err)
}

func answer(w http.ResponseWriter, what any, err error) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		what = map[string]string{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(what)
}

func decode(r *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return err
	}
	return strictly(body, into)
}

func strictly(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields() // a misspelt field would silently be another truth
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more than one document")
	}
	return nil
}

func oneOrMore[T any](r *http.Request) ([]T, error) {
	var raw json.RawMessage
	if err := decode(r, &raw); err != nil {
		return nil, err
	}
	if len(raw) > 0 && raw[0] == '[' {
		var list []T
		return list, strictly(raw, &list)
	}
	var one T
	if err := strictly(raw, &one); err != nil {
		return nil, err
	}
	return []T{one}, nil
}
