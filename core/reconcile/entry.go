// Package reconcile finds, record by record, what a payment channel, we and a
// hospital's HIS believe differently about a day, makes a case of each
// difference, and carries out the repair that people decide.
package reconcile

import (
	"iter"

	"hishub/core"
	"hishub/core/delivery"
)

// Party is one of those whose books are compared.
type Party string

const (
	Channel Party = "channel" // the payment channel's bill
	Ours    Party = "ours"    // our ledger
	HIS     Party = "his"     // the HIS's ledger
)

// Parties lists all, in the order of reports.
var Parties = []Party{Channel, Ours, HIS}

// What a finding may be about beside core.EntryPayment and core.EntryRefund.
const (
	EntryPrescription core.EntryType = "prescription"
	EntryOrder        core.EntryType = "order"
)

// Business is what money was for.
type Business string

const (
	Outpatient   Business = "outpatient"
	Registration Business = "registration"
)

// Entry is one booking in one party's books.
type Entry struct {
	core.LedgerEntry
	// Fee is the channel's, in 1/1000 fen.
	Fee core.Millifen `json:"fee,omitempty"`
	// Row is its place within its party's books of the day, from 1: a line of a
	// bill, a row of an answer. It makes alike entries distinct.
	Row int64 `json:"row,omitempty"`
	// Neighbour: it is of a day before or after the one that is compared, and there
	// only to find what belongs together.
	Neighbour bool `json:"neighbour,omitempty"`

	// The rest is set on our side only.
	Business Business `json:"business,omitempty"`
	// Message is the one that tells the HIS of it (or what the HIS told us by), Told
	// what became of that; empty when nobody is told and the HIS may have it all the same.
	Message int64          `json:"message,omitempty"`
	Told    delivery.State `json:"told,omitempty"`
	// NoHIS: the HIS need not have it: it refused it for good and the money went
	// back, or it was paid twice. NoChannel: no money moved.
	NoHIS     bool `json:"no_his,omitempty"`
	NoChannel bool `json:"no_channel,omitempty"`
}

// Stream gives entries once, in any order. An error is the last thing that it gives.
type Stream = iter.Seq2[Entry, error]

// Finding puts entries of all parties into one class. Every entry that is of the
// day, of each party, is in exactly one finding.
type Finding struct {
	Class Class          `json:"class"`
	Type  core.EntryType `json:"type"`
	// Number is ours, or what the entry has in its place.
	Number  string  `json:"number"`
	Channel []Entry `json:"channel,omitempty"`
	Ours    []Entry `json:"ours,omitempty"`
	HIS     []Entry `json:"his,omitempty"`
	// Amount that is in question, fen.
	Amount core.Fen `json:"amount"`
	// Cause says in plain words what has probably happened.
	Cause string `json:"cause,omitempty"`
	// Of is, for what was paid twice, our number of the payment that counts.
	Of string `json:"of,omitempty"`
}

// Entries of a party.
func (f *Finding) Entries(p Party) []Entry {
	switch p {
	case Channel:
		return f.Channel
	case Ours:
		return f.Ours
	}
	return f.HIS
}
