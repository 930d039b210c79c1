package main

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
	"hishub/core/postgres"
)

// unmask prints what a message says of its patient; that somebody looked is recorded.
func (c *messageShow) unmask(ctx context.Context, s *postgres.Store) error {
	if c.Purpose == "" {
		return core.Problems{{Field: "--purpose", What: "missing: --unmask records why the patient must be seen"}}
	}
	u, err := s.Unmask(ctx, c.ID, c.By, c.Purpose)
	if err != nil {
		return err
	}
	body, err := json.MarshalIndent(u.Body, "", "  ")
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(map[string]any{"body": u.Body, "exchanges": u.Exchanges})
	}
	if u.Body == nil {
		body = []byte("its content is past its retention")
	}
	fmt.Printf("%s\n", body)
	for _, x := range u.Exchanges {
		fmt.Printf("\n#%d %s\n→ %s\n← %s\n", x.Number, x.At.Local().Format("01-02 15:04:05.000"), readable(x.Request), readable(x.Response))
	}
	return nil
}

// readable shows bytes of an exchange: as UTF-8, else as GB18030.
func readable(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	if text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b); err == nil {
		return string(text)
	}
	return fmt.Sprintf("%q", b)
}
