package core

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Signature is the value of the header Hishub-Signature of what we send to somebody
// who shares a secret with us: "t=<unix seconds>,v1=<hex>", where v1 is the
// HMAC-SHA-256 of "<t>.<body>".
func Signature(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(t + "."))
	h.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(h.Sum(nil))
}
