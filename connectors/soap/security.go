package soap

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"strings"
	"time"

	"hishub/connectors/option"
)

// The names of WS-Security 1.0 and its UsernameToken profile (OASIS, 2004).
const (
	wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	wsu  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

	passwordType = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#Password"
	base64Binary = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)

// maskedPassword is what Offline and the exchange log show.
const maskedPassword = "******"

// security is the header of WS-Security that every envelope has.
type security struct {
	user, password string
	digest         bool
	valid          time.Duration // of the timestamp; 0 is none
}

// stamp is what makes a header fresh.
type stamp struct {
	now   time.Time
	nonce [16]byte
}

func fresh() stamp {
	s := stamp{now: time.Now()}
	rand.Read(s.nonce[:])
	return s
}

// still is the stamp of what is only shown: where time stands still in cases.
var still = stamp{now: time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)}

func readSecurity(s *option.Set) *security {
	m := s.Map("security")
	if m == nil {
		return nil
	}
	x := &security{valid: m.Duration("timestamp", 0)}
	if t := m.Map("username_token"); t != nil {
		x.user, x.password = t.Needed("user"), t.Needed("password")
		x.digest = t.OneOf("type", "text", "digest") == "digest"
		if forbidden(x.user) || forbidden(x.password) {
			t.Problem("user", "it or the password holds a control character, which XML cannot carry")
		}
	} else if x.valid == 0 {
		s.Problem("security", "empty: write username_token: {user: ..., password: ...}, or timestamp: 5m")
	}
	return x
}

// write gives the header block, and the block with the password masked.
func (x *security) write(at stamp) (block, masked string) {
	created := at.now.UTC().Format("2006-01-02T15:04:05.000Z")
	w := writer{}
	w.add(`<wsse:Security xmlns:wsse="`, wsse, `" xmlns:wsu="`, wsu, `" `, envelopePrefix, `:mustUnderstand="1">`)
	if x.valid > 0 {
		expires := at.now.Add(x.valid).UTC().Format("2006-01-02T15:04:05.000Z")
		w.add(`<wsu:Timestamp><wsu:Created>`, created, `</wsu:Created><wsu:Expires>`, expires, `</wsu:Expires></wsu:Timestamp>`)
	}
	password := ""
	if x.user != "" {
		w.add(`<wsse:UsernameToken><wsse:Username>`)
		w.escape(x.user, false)
		w.add(`</wsse:Username>`)
		kind := "Text"
		if x.digest {
			kind = "Digest"
			sum := sha1.Sum(append(at.nonce[:], created+x.password...))
			password = base64.StdEncoding.EncodeToString(sum[:])
		} else {
			p := writer{}
			p.escape(x.password, false)
			password = string(p.b)
		}
		w.add(`<wsse:Password Type="`, passwordType, kind, `">`, password, `</wsse:Password>`)
		if x.digest {
			w.add(`<wsse:Nonce EncodingType="`, base64Binary, `">`, base64.StdEncoding.EncodeToString(at.nonce[:]), `</wsse:Nonce><wsu:Created>`, created, `</wsu:Created>`)
		}
		w.add(`</wsse:UsernameToken>`)
	}
	w.add(`</wsse:Security>`)
	block = string(w.b)
	return block, strings.Replace(block, `">`+password+`</wsse:Password>`, `">`+maskedPassword+`</wsse:Password>`, 1)
}
