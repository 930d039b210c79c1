package clinic

import (
	"crypto/rand"
	"encoding/base32"
	"time"
)

var numberText = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// NewNumber makes a business number: the prefix, the day as yymmdd and ten random
// characters, 18 characters with a prefix of two; HIS with short columns take it, and
// nobody counts from it how much a hospital does.
func NewNumber(prefix string, at time.Time) string {
	random := make([]byte, 7)
	rand.Read(random)
	return prefix + at.Format("060102") + numberText.EncodeToString(random)[:10]
}
