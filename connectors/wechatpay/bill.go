package wechatpay

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha1" //nolint:gosec // WeChat's checksum of a bill is SHA1; that it is WeChat's says the signature of the answer it came in
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/wechatpay-apiv3/wechatpay-go/core"

	"hishub/connectors/bill"
	"hishub/connectors/wire"
	"hishub/core"
)

// Bill implements core.Biller with the trade bill of all payments and refunds of a
// day. A refund's state is that of the time when WeChat made the bill; it never
// learns better. The Digest is that of the unpacked text, which is the same each
// time, unlike its packing.
func (c *Connector) Bill(ctx context.Context, day string, emit func(core.BillEntry) error) (core.BillTotals, error) {
	const op = "wechatpay bill"
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return core.BillTotals{}, wire.Invalid(op, errors.New("the day is not a date like 2026-01-05"))
	}
	name := "wechat tradebill " + c.merchant + " " + day
	place, err := c.place(ctx, op, name, day)
	if err != nil {
		return core.BillTotals{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.billTimeout)
	defer cancel()
	result, err := c.download.Get(ctx, c.base+place.path)
	if err != nil {
		return core.BillTotals{}, notDownloaded(op, result, err)
	}
	defer result.Response.Body.Close()
	source := &bill.Source{R: result.Response.Body}
	totals, err := c.unpack(source, name, day, place.sum, emit)
	if source.Err != nil { // whatever the reader made of it
		cause := source.Err
		if ctx.Err() != nil {
			cause = ctx.Err()
		}
		return totals, wire.InDoubt(op, wire.Plain(cause))
	}
	return totals, err
}

func notDownloaded(op string, result *sdk.APIResult, err error) error {
	if result == nil || result.Response == nil {
		return wire.Fault(op, err)
	}
	_ = result.Response.Body.Close()
	// The address lives for a few minutes only; asking again gives another.
	return wire.InDoubt(op, fmt.Errorf("the bill's address was answered with HTTP %d", result.Response.StatusCode))
}

// place is where a bill can be downloaded, and what it must sum up to.
type place struct {
	path string // with its query
	sum  string // SHA1, hex
}

// place asks for the bill of a day. Errors: core.ErrNoBill, core.ErrBillNotReady,
// *core.BillFault, *core.Fault.
func (c *Connector) place(ctx context.Context, op, name, day string) (place, error) {
	_, s, err := c.ask(ctx, op, http.MethodGet, "/v3/bill/tradebill?bill_date="+day+"&bill_type=ALL&tar_type=GZIP", nil)
	if s.status == http.StatusTooManyRequests {
		return place{}, core.ErrBillNotReady // asked for too often: later, like one that is not made yet
	}
	if err != nil {
		return place{}, err
	}
	switch s.code {
	case "":
	case "NO_STATEMENT_EXIST":
		return place{}, core.ErrNoBill
	case "STATEMENT_CREATING":
		return place{}, core.ErrBillNotReady
	default:
		return place{}, &core.Fault{Class: core.Rejected, Op: op, Err: fmt.Errorf("WeChat answered HTTP %d %s", s.status, plainCode(s.code))}
	}
	var answer struct {
		HashType string `json:"hash_type"`
		Hash     string `json:"hash_value"`
		URL      string `json:"download_url"`
	}
	if json.Unmarshal(s.body, &answer) != nil {
		return place{}, wire.InDoubt(op, errors.New("the answer does not say where the bill is"))
	}
	sum, err := hex.DecodeString(answer.Hash)
	if answer.HashType != "SHA1" || err != nil || len(sum) != sha1.Size {
		return place{}, &core.BillFault{File: name, What: "WeChat gave no SHA1 checksum for it", Cure: "ask the developers: its interface has changed"}
	}
	u, err := url.Parse(answer.URL)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return place{}, wire.InDoubt(op, errors.New("the answer does not say where the bill is"))
	}
	// Only the path is taken: our signature goes to no other server than the folder names,
	// and where that is a way through to WeChat, WeChat's own name would not be reachable.
	return place{u.RequestURI(), hex.EncodeToString(sum)}, nil
}

// unpack reads the whole bill, and believes it when its checksum and its sums are right.
func (c *Connector) unpack(packed io.Reader, name, day, want string, emit func(core.BillEntry) error) (core.BillTotals, error) {
	text, err := plain(packed)
	if err != nil {
		return core.BillTotals{}, damaged(name, err)
	}
	h := hashes{sha1.New(), sha256.New()} //nolint:gosec // as above
	content := io.TeeReader(bill.Bounded(name, text, c.maxBill), h)
	var stopped error
	totals, err := readBill(content, name, rules{day: day, merchant: c.merchant, sub: c.sub}, func(e core.BillEntry) error {
		stopped = emit(e)
		return stopped
	})
	if stopped != nil {
		return totals, stopped // not ours to judge
	}
	var fault *core.BillFault
	if err != nil && !errors.As(err, &fault) {
		return totals, damaged(name, err)
	}
	// The rest of a bill that is wrong is read, too: the checksum tells whether it was
	// damaged on its way, or made wrong.
	if _, rest := io.Copy(io.Discard, content); rest != nil {
		if fault != nil {
			return totals, fault
		}
		return totals, damaged(name, rest)
	}
	whole := hex.EncodeToString(h.short.Sum(nil)) == want
	switch {
	case fault != nil && !whole:
		return totals, &core.BillFault{File: fault.File, Line: fault.Line, What: fault.What + ", and its SHA1 checksum is another one than WeChat gave", Cure: "it was damaged on its way: fetch it again"}
	case fault != nil:
		return totals, fault
	case !whole:
		return totals, &core.BillFault{File: name, What: "its SHA1 checksum is another one than WeChat gave", Cure: "it was damaged on its way: fetch it again"}
	}
	totals.Digest = hex.EncodeToString(h.long.Sum(nil))
	return totals, nil
}

// hashes are WeChat's checksum and our digest of the same text.
type hashes struct{ short, long hash.Hash }

func (h hashes) Write(p []byte) (int, error) {
	h.short.Write(p)
	return h.long.Write(p)
}

// plain unpacks what is packed. WeChat sends a bill in clear when it does not
// support the packing that was asked for.
func plain(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	if start, _ := b.Peek(2); len(start) < 2 || start[0] != 0x1f || start[1] != 0x8b {
		return b, nil
	}
	return gzip.NewReader(b)
}

// damaged names what an unpacker says; all else stays as it is.
func damaged(name string, err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &corrupt) {
		return &core.BillFault{File: name, What: "it cannot be unpacked", Cure: "it was damaged on its way: fetch it again"}
	}
	return err
}
