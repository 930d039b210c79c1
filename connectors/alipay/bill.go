package alipay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"hishub/connectors/bill"
	"hishub/connectors/wire"
	"hishub/core"
)

// Bill implements core.Biller. What it counts is what it emits: of one store
// only, where option store names it.
func (c *Connector) Bill(ctx context.Context, day string, emit func(core.BillEntry) error) (core.BillTotals, error) {
	date, err := time.ParseInLocation(time.DateOnly, day, bill.Zone)
	if err != nil {
		return core.BillTotals{}, wire.Invalid("alipay bill", errors.New("the day is not a date like 2026-01-05"))
	}
	file, size, digest, err := c.fetch(ctx, date)
	if err != nil {
		return core.BillTotals{}, err
	}
	defer discard(file)
	totals, err := c.readZip(ctx, file, size, date, emit)
	if err != nil {
		return core.BillTotals{}, err
	}
	totals.Digest = digest
	return totals, nil
}

const billQuery = "alipay.data.dataservice.bill.downloadurl.query"

// mostFetches is how often an address is asked for: one lives for 30 seconds, and
// a queue in front of the download may take longer.
const mostFetches = 3

// fetch downloads the bill into a file, because a zip has its table at the end.
func (c *Connector) fetch(ctx context.Context, date time.Time) (file *os.File, size int64, digest string, err error) {
	for range mostFetches {
		var address string
		if address, err = c.address(ctx, date); err != nil {
			return nil, 0, "", err
		}
		file, size, digest, err = c.download(ctx, date, address)
		if !errors.Is(err, errNoZip) {
			return file, size, digest, err
		}
	}
	return nil, 0, "", &core.Fault{Class: core.Unavailable, Op: "alipay bill", Err: err}
}

// address asks where the bill of a day can be downloaded.
func (c *Connector) address(ctx context.Context, date time.Time) (string, error) {
	var answer sdk.BillDownloadURLQueryRsp
	if _, err := c.ask(ctx, sdk.BillDownloadURLQuery{BillType: "trade", BillDate: date.Format(time.DateOnly)}, &answer); err != nil {
		return "", err
	}
	sub := strings.ToLower(answer.SubCode)
	switch {
	case answer.Code.IsSuccess():
		u, err := url.Parse(answer.BillDownloadURL)
		if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && strings.HasPrefix(c.base, "http:")) {
			return "", wire.InDoubt("alipay "+billQuery, errors.New("the answer has no download address over https"))
		}
		return answer.BillDownloadURL, nil
	case strings.HasSuffix(sub, "bill_not_exist"):
		// Alipay says this of a day without trade, and of one whose bill is not made
		// yet. Only the clock tells them apart; a bill is made by nine, says Alipay.
		if c.now().Before(date.AddDate(0, 0, 1).Add(c.ready)) {
			return "", core.ErrBillNotReady
		}
		return "", core.ErrNoBill
	case unsure(answer.Error):
		return "", core.ErrBillNotReady // UNKNOW_ERROR: "try again later"
	case c.now().Before(date.AddDate(0, 0, 1)):
		return "", core.ErrBillNotReady // a day that is not over is a wrong argument to Alipay
	}
	return "", wire.Invalid("alipay "+billQuery, fmt.Errorf("alipay refused it with %s %s", plain(string(answer.Code)), plain(answer.SubCode)))
}

// errNoZip: an address that is no longer good gives a page, whatever its status.
var errNoZip = errors.New("the download address gives no bill; it was asked for anew each time")

func (c *Connector) download(ctx context.Context, date time.Time, address string) (*os.File, int64, string, error) {
	const op = "alipay bill download"
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, "", wire.Invalid(op, errors.New("the download address is none"))
	}
	request.Header.Set("User-Agent", "hishub")
	answer, err := c.way.RoundTrip(request)
	if err != nil {
		return nil, 0, "", wire.Fault(op, err)
	}
	defer answer.Body.Close()
	var front [2]byte
	if n, err := io.ReadFull(answer.Body, front[:]); err != nil || answer.StatusCode != http.StatusOK || string(front[:n]) != "PK" {
		return nil, 0, "", errNoZip
	}
	file, err := os.CreateTemp("", "hishub-alipay-*.zip") // only we may read it
	if err != nil {
		return nil, 0, "", &core.Fault{Class: core.Unavailable, Op: op, Err: errors.New("no temporary file can be made")}
	}
	// It has no name any more where the system allows that, so that it is gone with
	// us, however we end.
	_ = os.Remove(file.Name())
	sum := sha256.New()
	whole := io.MultiReader(strings.NewReader(string(front[:])), answer.Body)
	size, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(whole, c.maxBill+1))
	switch {
	case err != nil:
		err = wire.Fault(op, err)
	case size > c.maxBill:
		err = &core.BillFault{File: zipName(date, ""), What: fmt.Sprintf("it is larger than %d bytes", c.maxBill), Cure: "raise max_bill if such days are normal"}
	default:
		return file, size, hex.EncodeToString(sum.Sum(nil)), nil
	}
	discard(file)
	return nil, 0, "", err
}

func discard(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
