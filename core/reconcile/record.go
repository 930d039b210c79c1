package reconcile

import (
	"encoding/binary"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// An entry on its way through the sorters is one run of bytes: a mark, its
// flags, the channel's number (first, because it is looked at without reading the
// rest), then everything else. No record is the beginning of another one. Equal
// entries have equal bytes, and bytes decide every order.

// mark says whose entry it is (high half) and what was decided about it alone (low half).
type mark byte

const (
	ofChannel mark = 0x10
	ofOurs    mark = 0x20
	ofHIS     mark = 0x30

	plain     mark = 0
	byRule    mark = 1 // left out by a rule of the folder
	several   mark = 2 // its numbers fit several of ours
	crossed   mark = 3 // its numbers point to different ones of ours
	nameless  mark = 4 // it has no number at all
	ownMarks       = 0x0f
	partyMark      = 0xf0
)

func (m mark) party() Party {
	switch m & partyMark {
	case ofChannel:
		return Channel
	case ofOurs:
		return Ours
	}
	return HIS
}

// own is true for an entry that is a finding of its own.
func (m mark) own() bool { return m&ownMarks != plain }

const (
	flagReversal = 1 << iota
	flagNeighbour
	flagNoHIS
	flagNoChannel
	flagAt
)

// words that entries repeat; a place in this list takes their place in a record.
var words = []string{
	"", string(core.EntryPayment), string(core.EntryRefund), string(core.EntryDone), string(core.EntryProcessing), string(core.EntryFailed),
	"wechat", "alipay", "unionpay", "insurance", "bank", "cash",
	string(Outpatient), string(Registration),
	string(delivery.Queued), string(delivery.Sending), string(delivery.Delivered), string(delivery.Parked), string(delivery.Cancelled),
}

var wordAt = func() map[string]byte {
	m := map[string]byte{}
	for i, w := range words {
		m[w] = byte(i)
	}
	return m
}()

const noWord = 0xff

func appendWord(b []byte, w string) []byte {
	if i, ok := wordAt[w]; ok {
		return append(b, i)
	}
	return appendText(append(b, noWord), w)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func flag(set bool, f byte) byte {
	if set {
		return f
	}
	return 0
}

// appendEntry writes the record of an entry.
func appendEntry(b []byte, m mark, e *Entry) []byte {
	b = append(b, byte(m), flag(e.Reversal, flagReversal)|flag(e.Neighbour, flagNeighbour)|
		flag(e.NoHIS, flagNoHIS)|flag(e.NoChannel, flagNoChannel)|flag(!e.At.IsZero(), flagAt))
	b = appendText(b, e.ChannelNo)
	b = appendText(b, e.Number)
	b = appendText(b, e.OrderID)
	b = appendText(b, e.HisNo)
	b = appendText(b, e.Operator)
	b = appendText(b, e.Bill)
	b = appendWord(b, string(e.Type))
	b = appendWord(b, string(e.Channel))
	b = appendWord(b, string(e.State))
	b = appendWord(b, string(e.Business))
	b = appendWord(b, string(e.Told))
	b = binary.AppendVarint(b, int64(e.Amount))
	b = binary.AppendVarint(b, int64(e.Fee))
	b = binary.AppendVarint(b, e.Row)
	b = binary.AppendVarint(b, e.Message)
	if !e.At.IsZero() {
		b = binary.AppendVarint(b, e.At.Unix())
		b = binary.AppendUvarint(b, uint64(e.At.Nanosecond())) //nolint:gosec // never negative
	}
	return b
}

// text takes a record apart.
type text struct{ s string }

func (t *text) uvarint() uint64 {
	var v uint64
	for i, shift := 0, 0; ; i, shift = i+1, shift+7 {
		c := t.s[i]
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			t.s = t.s[i+1:]
			return v
		}
	}
}

func (t *text) varint() int64 {
	u := t.uvarint()
	return int64(u>>1) ^ -int64(u&1) //nolint:gosec // zigzag, as encoding/binary writes it
}

func (t *text) cut(n int) string {
	s := t.s[:n]
	t.s = t.s[n:]
	return s
}

func (t *text) text() string { return t.cut(int(t.uvarint())) } //nolint:gosec // we wrote this length

func (t *text) word() string {
	c := t.cut(1)[0]
	if c == noWord {
		return t.text()
	}
	return words[c]
}

// readEntry reads a record. Its texts are parts of s; times are in the zone.
func readEntry(s string, zone *time.Location) (m mark, e Entry) {
	t := text{s[2:]}
	m = mark(s[0])
	f := s[1]
	e.ChannelNo = t.text()
	e.Number = t.text()
	e.OrderID = t.text()
	e.HisNo = t.text()
	e.Operator = t.text()
	e.Bill = t.text()
	e.Type = core.EntryType(t.word())
	e.Channel = core.Channel(t.word())
	e.State = core.EntryState(t.word())
	e.Business = Business(t.word())
	e.Told = delivery.State(t.word())
	e.Amount = core.Fen(t.varint())
	e.Fee = core.Millifen(t.varint())
	e.Row = t.varint()
	e.Message = t.varint()
	e.Reversal, e.Neighbour = f&flagReversal != 0, f&flagNeighbour != 0
	e.NoHIS, e.NoChannel = f&flagNoHIS != 0, f&flagNoChannel != 0
	if f&flagAt != 0 {
		e.At = time.Unix(t.varint(), int64(t.uvarint())).In(zone) //nolint:gosec // nanoseconds
	}
	return m, e
}

// peek looks at the beginning of a record.
func peek(rest []byte) (reversal bool, channelNo []byte) {
	n, k := binary.Uvarint(rest[2:])
	return rest[1]&flagReversal != 0, rest[2+k : 2+k+int(n)] //nolint:gosec // we wrote this length
}

// A key is one byte for the type and then the number under which entries of all
// parties meet. Behind a zero byte there may be more that keeps entries apart and
// that people need not see.

const (
	keyPayment = 'p'
	keyRefund  = 'r'
)

func keyByte(t core.EntryType) byte {
	if t == core.EntryRefund {
		return keyRefund
	}
	return keyPayment
}

func keyType(key []byte) core.EntryType {
	if key[0] == keyRefund {
		return core.EntryRefund
	}
	return core.EntryPayment
}

// takesBack: it belongs to the payment that it takes back, and no money moved.
func takesBack(p Party, e *Entry) bool {
	return e.Reversal || p == Ours && e.Type == core.EntryRefund && e.NoChannel && e.OrderID != ""
}

// home is the type and number under which an entry is looked for.
func home(p Party, e *Entry) (byte, string) {
	if takesBack(p, e) {
		if e.OrderID != "" {
			return keyPayment, e.OrderID
		}
		return keyPayment, e.Number
	}
	return keyByte(e.Type), e.Number
}

func appendHome(b []byte, p Party, e *Entry) []byte {
	t, number := home(p, e)
	return append(append(b, t), number...)
}
