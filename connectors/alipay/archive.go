package alipay

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"

	"hishub/connectors/bill"
	"hishub/core"
)

const fetchAgain = "fetch the bill again; if it stays so, ask Alipay"

// zipName is how faults call the archive, or a file in it.
func zipName(date time.Time, inner string) string {
	name := "alipay bill " + date.Format(time.DateOnly)
	if inner != "" {
		name += "/" + inner
	}
	return name
}

// mostFiles is how many files a bill's archive may have; there are two.
const mostFiles = 16

// readZip reads the archive: 业务明细, the trades, is read and emitted; 业务明细(汇总),
// the sums by store, is compared with it when it is there.
func (c *Connector) readZip(ctx context.Context, file io.ReaderAt, size int64, date time.Time, emit func(core.BillEntry) error) (core.BillTotals, error) {
	archive, err := zip.NewReader(file, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // no file is written by its name
		return core.BillTotals{}, &core.BillFault{File: zipName(date, ""), What: "it is no whole zip archive", Cure: fetchAgain}
	}
	if len(archive.File) > mostFiles {
		return core.BillTotals{}, &core.BillFault{File: zipName(date, ""), What: fmt.Sprintf("it has %d files, more than %d", len(archive.File), mostFiles), Cure: fetchAgain}
	}
	var detail, summary *zip.File
	for _, f := range archive.File {
		if f.FileInfo().IsDir() {
			continue
		}
		place := &detail
		if strings.Contains(entryName(f), "汇总") {
			place = &summary
		} else if !strings.Contains(entryName(f), "明细") {
			continue
		}
		if *place != nil {
			return core.BillTotals{}, &core.BillFault{File: zipName(date, ""), What: "it has two files of the same sort", Cure: fetchAgain}
		}
		*place = f
	}
	if detail == nil {
		return core.BillTotals{}, &core.BillFault{File: zipName(date, ""), What: "it has no file 业务明细", Cure: "option bill_type of the account must be trade; " + fetchAgain}
	}
	d := &details{account: c.account, store: c.store, date: date, emit: emit}
	if err := c.readEntry(detail, zipName(date, "业务明细.csv"), func(f *bill.File) error { return d.read(ctx, f) }); err != nil {
		return core.BillTotals{}, err
	}
	if summary != nil {
		if err := c.readEntry(summary, zipName(date, "业务明细(汇总).csv"), d.compare); err != nil {
			return core.BillTotals{}, err
		}
	}
	return d.kept, nil
}

// entryName is a name in the archive. They are in GB18030, unless the archive says otherwise.
func entryName(f *zip.File) string {
	if !f.NonUTF8 && utf8.ValidString(f.Name) {
		return f.Name
	}
	name, err := simplifiedchinese.GB18030.NewDecoder().String(f.Name)
	if err != nil {
		return ""
	}
	return name
}

// readEntry unpacks a file, within the bound, and reads it to its end, where the
// archive's checksum is compared.
func (c *Connector) readEntry(f *zip.File, name string, read func(*bill.File) error) error {
	packed, err := f.Open()
	if err != nil {
		return &core.BillFault{File: name, What: "it cannot be unpacked", Cure: fetchAgain}
	}
	defer packed.Close()
	source := &bill.Source{R: packed}
	text := transform.NewReader(bill.Bounded(name, source, c.maxBill), simplifiedchinese.GB18030.NewDecoder())
	b := bill.NewFile(name, text)
	err = read(b)
	if err == nil {
		if _, err = b.Next(); err == nil {
			err = b.Fault("there are lines behind the end of the bill", fetchAgain)
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	switch {
	case errors.Is(source.Err, zip.ErrChecksum):
		return &core.BillFault{File: name, What: "the archive's checksum does not fit", Cure: fetchAgain}
	case source.Err != nil:
		return &core.BillFault{File: name, What: "it cannot be unpacked to its end", Cure: fetchAgain}
	}
	return err
}
