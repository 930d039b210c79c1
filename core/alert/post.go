package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// client reaches robots and webhooks, over the proxy that HTTPS_PROXY names.
var client = &http.Client{
	Timeout: 10 * time.Second,
	// A redirect could lead what is secret somewhere else.
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// maxReply bounds what is read of an answer, in bytes.
const maxReply = 64 << 10

// post sends JSON and gives the answer to a 2xx. Its errors hold neither the address,
// which is secret with robots, nor what the other side wrote.
func post(ctx context.Context, to string, body []byte, header http.Header) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address cannot be called")
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "hishub")
	answer, err := client.Do(r)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("call: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxReply))
	switch {
	case answer.StatusCode == http.StatusTooManyRequests:
		after := time.Minute
		if n, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && n > 0 {
			after = min(time.Duration(n)*time.Second, time.Hour)
		}
		return nil, &Later{errors.New("answered 429: too many"), after}
	case answer.StatusCode/100 != 2:
		return nil, fmt.Errorf("answered %d", answer.StatusCode)
	case err != nil:
		return nil, errors.New("the answer broke off")
	}
	return text, nil
}

// verdict reads what both robots answer: HTTP 200 says nothing, errcode does.
func verdict(answer []byte, busy map[int]time.Duration, meaning map[int]string) error {
	var said struct {
		Code *int `json:"errcode"`
	}
	if err := json.Unmarshal(answer, &said); err != nil || said.Code == nil {
		return errors.New("answered no errcode; is that the robot's address?")
	}
	code := *said.Code
	if code == 0 {
		return nil
	}
	err := fmt.Errorf("answered errcode %d", code)
	if m := meaning[code]; m != "" {
		err = fmt.Errorf("answered errcode %d: %s", code, m)
	}
	if after := busy[code]; after > 0 {
		return &Later{err, after}
	}
	return err
}

// hostOf is host:port of an address.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	if u.Port() != "" {
		return u.Host
	}
	port := "443"
	if u.Scheme == "http" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// robotPause keeps below the 20 letters a minute that robots take.
const robotPause = 3500 * time.Millisecond
