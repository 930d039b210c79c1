package paychannel

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hishub/mocks/books"
)

// Types of a row in the bank's file.
const (
	bankPaid   = "3"
	bankRefund = "6"
)

// BankFile is the name of the file of a day.
func BankFile(day string) string { return "RBAS" + strings.ReplaceAll(day, "-", "") + ".txt" }

// WriteBankFile drops the bank's file of a day (yyyy-MM-dd) into a folder, as a
// bank does in the morning: "date|count|amount|", then a row for each payment and
// refund, "patient|our number|amount|type|way|bank date|hospital date|bank number|".
// The amount is that of payments less refunds. A day without either has a file
// with the first line alone. Under BillLate and BillNone there is no file; path is "" then.
func (s *Server) WriteBankFile(folder, day string) (path string, err error) {
	lines, err := s.books.Bill(Bank, day)
	if err != nil {
		return "", err
	}
	if s.strikes(BillLate, day) || s.strikes(BillNone, day) {
		return "", nil
	}
	if len(lines) > 0 && s.strikes(BillDroppedRow, day) {
		lines = lines[1:]
	}
	if s.strikes(BillDoubledRows, day) {
		lines = append(lines, lines...)
	}
	rows := lines
	if len(rows) > 0 && s.strikes(BillLostRow, day) {
		rows = rows[1:]
	}
	wrong := s.strikes(BillWrongChecksum, day)
	var sum int64
	var body bytes.Buffer
	for _, l := range lines {
		sum += alipayOrdered(l)
	}
	date := strings.ReplaceAll(day, "-", "")
	for i, l := range rows {
		number, no, kind, fen := l.Payment.Number, l.Payment.ChannelNo, bankPaid, l.Payment.AmountFen
		if l.Refund != nil {
			number, no, kind, fen = l.Refund.Number, l.Refund.ChannelNo, bankRefund, l.Refund.AmountFen
		}
		amount := []byte(books.Yuan(fen))
		if wrong && i == 0 {
			spoil(amount)
		}
		fmt.Fprintf(&body, "0000024772|%s|%s|%s|7|%s|%s|%s|\r\n", number, amount, kind, date, date, no)
	}
	whole := fmt.Appendf(nil, "%s|%d|%s|\r\n%s", date, len(lines), books.Yuan(sum), body.Bytes())
	if s.strikes(BillTruncated, day) {
		whole = whole[:len(whole)-20]
	}
	path = filepath.Join(folder, BankFile(day))
	// Whole or not at all: whoever looks meanwhile sees no half of it.
	if err := os.WriteFile(path+".part", whole, 0o600); err != nil {
		return "", err
	}
	return path, os.Rename(path+".part", path)
}
