package demo

import (
	"context"

	"hishub/core"
	"hishub/mocks/shipped"
)

// party is a shipped hospital, or another that the clinic has to tell.
type party struct {
	id string
	// speaks is its dialect in a few words.
	speaks string
	start  shipped.Start
	// inDatabase: it lives in a database of its own.
	inDatabase bool
	// moneyless: it hears of prescriptions only.
	moneyless bool
	// window has a cashier there give a patient's money back and ask us for it. nil:
	// the money goes back by our refund.
	window func(*tale, context.Context, string, *core.Payment) error
	// tells has it tell something else of its own accord, and says what that was.
	tells func(*tale, context.Context, *core.Prescription) (string, error)
}

// parties are all whose folders are shipped.
var parties = []party{
	{id: "beicheng", speaks: "SOAP (.asmx), XML in the result string", start: shipped.Beicheng},
	{id: "dongshan", speaks: "SOAP 1.1, XML in a string, GB18030", start: shipped.Dongshan, tells: (*tale).stoppedClinic},
	{id: "heping", speaks: "HL7 v2.4 over MLLP, GB18030", start: shipped.Heping, window: (*tale).hepingsWindow},
	{id: "jianguan", speaks: "rows in JSON, signed, judged later", start: shipped.Jianguan, moneyless: true},
	{id: "jiangwan", speaks: "procedures that take and give XML", start: shipped.Jiangwan, inDatabase: true},
	{id: "lianhu", speaks: "SOAP 1.1 that also calls us", start: shipped.Lianhu, window: (*tale).lianhusWindow},
	{id: "nanyuan", speaks: "interface tables, both ways", start: shipped.Nanyuan, inDatabase: true, window: (*tale).nanyuansWindow},
	{id: "qingshan", speaks: "HL7 V3 over SOAP 1.2", start: shipped.Qingshan},
	{id: "xihu", speaks: "REST with a login, signed headers", start: shipped.Xihu, window: (*tale).xihusWindow},
	{id: "xingguang", speaks: "FHIR R4 transactions", start: shipped.Xingguang, tells: (*tale).handedOut},
	{id: "yongan", speaks: "JSON in JSON, SM4-sealed, SM3-signed", start: shipped.Yongan, window: (*tale).yongansWindow},
}

// names of the three that the longer story is told of, in its order.
var names = []string{"dongshan", "xihu", "nanyuan"}
