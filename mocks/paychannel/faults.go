package paychannel

import (
	"slices"

	"hishub/mocks/fault"
)

// Faults of the channel's own, beside fault.HTTPKinds. Their key is part of the
// day (bills), of the payment's or of the refund's number; without one they strike always.
const (
	BillLate          fault.Kind = "bill_late"           // not made yet, until the rule is gone
	BillNone          fault.Kind = "bill_none"           // "nothing was traded", whatever the books say
	BillTruncated     fault.Kind = "bill_truncated"      // ends in the middle of a row
	BillWrongChecksum fault.Kind = "bill_wrong_checksum" // one digit differs from what was summed up
	BillOtherHash     fault.Kind = "bill_other_hash"     // WeChat: the SHA1 given is not the file's
	BillWithoutSum    fault.Kind = "bill_without_summary"
	BillMixedColumns  fault.Kind = "bill_mixed_columns" // another order of columns
	BillExtraColumn   fault.Kind = "bill_extra_column"
	BillOldForm       fault.Kind = "bill_old_form" // WeChat: 24 columns
	BillDoubledRows   fault.Kind = "bill_doubled_rows"
	BillDroppedRow    fault.Kind = "bill_dropped_row" // the first row is not there, nor in the sums
	BillLostRow       fault.Kind = "bill_lost_row"    // the first row is not there, the sums still have it
	BillExpired       fault.Kind = "bill_expired"     // Alipay: the address is no longer good when it is used
	PrepayRefused     fault.Kind = "prepay_refused"
	PaidBefore        fault.Kind = "paid_before"       // paid, and told, before the merchant has the answer to his asking
	PaidOtherAmount   fault.Kind = "paid_other_amount" // one fen more than was asked for
	NoticeLost        fault.Kind = "notice_lost"
	NoticeDoubled     fault.Kind = "notice_doubled"
	NoticeLate        fault.Kind = "notice_late"   // held back until notices are sent again
	NoticeForged      fault.Kind = "notice_forged" // signed by somebody else, and none by us
	RefundProcessing  fault.Kind = "refund_processing"
	RefundRefused     fault.Kind = "refund_refused" // the merchant's account has not enough money
	RefundClosed      fault.Kind = "refund_closed"  // accepted, then given up
)

// OwnKinds are all of them.
var OwnKinds = []fault.Kind{BillLate, BillNone, BillTruncated, BillWrongChecksum, BillOtherHash, BillWithoutSum, BillMixedColumns,
	BillExtraColumn, BillOldForm, BillDoubledRows, BillDroppedRow, BillLostRow, BillExpired,
	PrepayRefused, PaidBefore, PaidOtherAmount, NoticeLost, NoticeDoubled, NoticeLate, NoticeForged, RefundProcessing, RefundRefused, RefundClosed}

func isOwn(kind fault.Kind) bool { return slices.Contains(OwnKinds, kind) }

// strikes reports whether a fault of the channel's own strikes a day or a refund.
func (s *Server) strikes(kind fault.Kind, key string) bool {
	return s.own.Strike(key, string(kind)).Kind != ""
}
