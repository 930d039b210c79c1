package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// SMS sends over an HTTP gateway: POST URL/send with {"phone", "text"}. Any 2xx is sent.
type SMS struct {
	URL    string
	Client *http.Client // one with five seconds if nil
}

var gateway = &http.Client{Timeout: 5 * time.Second}

// Send implements Sender.
func (g SMS) Send(ctx context.Context, phone, text string) error {
	body, err := json.Marshal(map[string]string{"phone": phone, "text": text})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+"/send", bytes.NewReader(body))
	if err != nil {
		return errors.New("the address of the SMS gateway is none")
	}
	r.Header.Set("Content-Type", "application/json")
	client := g.Client
	if client == nil {
		client = gateway
	}
	answer, err := client.Do(r)
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err // without the address, which may hold a key
	}
	if err != nil {
		return fmt.Errorf("ask the SMS gateway: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode > 299 {
		return fmt.Errorf("the SMS gateway answers %d", answer.StatusCode)
	}
	return nil
}
