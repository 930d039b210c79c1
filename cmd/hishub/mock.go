package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"hishub/mocks/asmxhis"
	"hishub/mocks/books"
	"hishub/mocks/dbhis"
	"hishub/mocks/fhirhis"
	"hishub/mocks/hl7his"
	"hishub/mocks/paychannel"
	"hishub/mocks/prochis"
	"hishub/mocks/pushhis"
	"hishub/mocks/regulator"
	"hishub/mocks/resthis"
	"hishub/mocks/sealedhis"
	"hishub/mocks/shipped"
	"hishub/mocks/soaphis"
	"hishub/mocks/v3his"
)

// mockCmd runs fake hospitals. What each speaks is in mocks/README.md and beside it.
type mockCmd struct {
	Folder mockFolder `cmd:"" default:"withargs" help:"Any hospital folder, from its own configuration: --hospital DIR."`

	Soap mockSoap `cmd:"" help:"东山: SOAP 1.1, XML in a string, GB18030, pre-settle and confirm."`
	Rest mockRest `cmd:"" help:"西湖: JSON with signed headers and expiring tokens."`
	Push mockPush `cmd:"" help:"莲湖: SOAP 1.1 that also calls the hub: window refunds, stopped clinics and other news."`
	Asmx mockAsmx `cmd:"" help:"北城: .asmx, an operation for everything, XML in the result string."`
	Hl7  mockHl7  `cmd:"" name:"hl7" help:"和平: HL7 v2.4 over MLLP in GB18030, both ways."`
	V3   mockV3   `cmd:"" name:"v3" help:"青山: HL7 V3 over SOAP 1.2, HIPMessageServer(action, message)."`
	Db   mockDB   `cmd:"" help:"南园: interface tables and a procedure in PostgreSQL or MariaDB."`
	Pay  mockPay  `cmd:"" help:"A payment channel with books of its own: WeChat Pay's and Alipay's interfaces, refunds and bills."`
	Proc mockProc `cmd:"" help:"江湾: procedures with XML in and out, settling in two phases, in PostgreSQL."`

	Alerts mockAlerts `cmd:"" help:"The robots of WeCom and DingTalk and a mail server, to see what alerts say."`

	Fhir      mockFhir      `cmd:"" help:"星光: a FHIR R4 server with transactions, searches in pages and a login; it also tells the hub what was handed out."`
	SMS       mockSMS       `cmd:"" name:"sms" help:"A gateway for short messages, with a page that shows them."`
	Regulator mockRegulator `cmd:"" help:"省监管平台: rows about prescriptions with a signature, checked later, a verdict for each."`
	Sealed    mockSealed    `cmd:"" help:"永安: JSON in JSON, sealed with SM4 and signed with SM3, in two steps; it also calls the hub."`
}

type mockOptions struct {
	Listen  string        `help:"Address for the hub." default:"127.0.0.1:0"`
	Control string        `help:"Address for books and faults: GET /books, POST /faults, DELETE /faults." default:"127.0.0.1:0"`
	Latency time.Duration `help:"How long each request takes to be served." default:"0s"`
	Repeats string        `help:"How a repeated key is treated: refuse, same or double; the original's way if empty." enum:",refuse,same,double" default:""`
	Inquiry string        `help:"Whether status questions are answered: truthful or none." enum:"truthful,none" default:"truthful"`
	Seed    uint64        `help:"Seed of faults with a rate." default:"1"`
}

type mock interface {
	Addr() string
	ControlURL() string
	Close() error
}

// hold prints where the hospital is and keeps it until ctx ends.
func hold(ctx context.Context, m mock, reach string) error {
	defer m.Close()
	announce(os.Stdout, m, reach)
	<-ctx.Done()
	return nil
}

// announce says where a fake is, and what its shipped folder wants to reach it.
func announce(w io.Writer, m mock, reach string) {
	fmt.Fprintf(w, "hub:     %s\ncontrol: %s\n", reach, m.ControlURL())
	env := shipped.Env(m)
	if env == nil {
		return
	}
	announceEnv(w, env)
}

// announceEnv prints what the hub wants to know as the lines of a file for --env.
func announceEnv(w io.Writer, env map[string]string) {
	fmt.Fprintln(w, "set for the hub, as lines of a file for --env:")
	for _, name := range sortedKeys(env) {
		fmt.Fprintf(w, "%s=%s\n", name, env[name])
	}
}

type mockSoap struct {
	mockOptions
	Strict bool `help:"Refuse bills that it does not know."`
}

func (mockSoap) Help() string {
	return "Example:\n  hishub mock soap --listen 127.0.0.1:8088 --control 127.0.0.1:9088"
}

func (c *mockSoap) Run(ctx context.Context) error {
	m, err := soaphis.Start(ctx, soaphis.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry, Strict: c.Strict})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.URL())
}

type mockRest struct {
	mockOptions
	TokenLife time.Duration `help:"How long a login is good for." default:"30m"`
}

func (mockRest) Help() string { return "Example:\n  hishub mock rest --token-life 1m" }

func (c *mockRest) Run(ctx context.Context) error {
	m, err := resthis.Start(ctx, resthis.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry, TokenLife: c.TokenLife})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.URL())
}

type mockPush struct {
	mockOptions
	Hub     string        `help:"Where the hub listens for this hospital." placeholder:"http://127.0.0.1:8080/his/lianhu/platform"`
	Key     string        `help:"Signs what is sent there." default:"lianhu-test" env:"LIANHU_KEY"`
	Again   time.Duration `help:"How long an answer UNKNOWN rests before the same request is sent again." default:"5s"`
	PayTime time.Duration `help:"How long a payment is worked on; meanwhile it is not answered." default:"0s"`
}

func (mockPush) Help() string {
	return "Example:\n  hishub mock push --control 127.0.0.1:9091 --hub http://127.0.0.1:8080/his/lianhu/platform\n  curl -d '{\"kind\":\"stopClinic\",\"scheduleId\":\"PB202601060m\"}' http://127.0.0.1:9091/push"
}

func (c *mockPush) Run(ctx context.Context) error {
	m, err := pushhis.Start(ctx, pushhis.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry, Hub: c.Hub, Key: c.Key, Again: c.Again, PayTime: c.PayTime})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.URL())
}

type mockAsmx struct {
	mockOptions
	LockLife time.Duration `help:"How long a locked place is held." default:"15m"`
}

func (mockAsmx) Help() string { return "Example:\n  hishub mock asmx --listen 127.0.0.1:8088" }

func (c *mockAsmx) Run(ctx context.Context) error {
	m, err := asmxhis.Start(ctx, asmxhis.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry, LockLife: c.LockLife})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.URL())
}

type mockHl7 struct {
	mockOptions
	Hub string `help:"Where the hub listens for this hospital (MLLP)." placeholder:"127.0.0.1:6671"`
}

func (mockHl7) Help() string {
	return "Example:\n  hishub mock hl7 --listen 127.0.0.1:6661 --control 127.0.0.1:9094 --hub 127.0.0.1:6671\n  curl -d '{\"kind\":\"dispensed\",\"fields\":{\"recipeNo\":\"RX1\"}}' http://127.0.0.1:9094/push"
}

func (c *mockHl7) Run(ctx context.Context) error {
	m, err := hl7his.Start(ctx, hl7his.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry, Hub: c.Hub})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.Addr())
}

type mockV3 struct{ mockOptions }

func (mockV3) Help() string { return "Example:\n  hishub mock v3 --listen 127.0.0.1:8095" }

func (c *mockV3) Run(ctx context.Context) error {
	m, err := v3his.Start(ctx, v3his.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.URL())
}

type mockDB struct {
	mockOptions
	Driver string        `help:"postgres or mysql." enum:"postgres,mysql" required:""`
	DSN    string        `name:"dsn" help:"Database of the hospital, reached without the proxy." required:""`
	Poll   time.Duration `help:"How often the hospital reads its interface tables." default:"100ms"`
}

func (mockDB) Help() string {
	return "Example:\n  hishub mock db --driver postgres --dsn postgres://his@127.0.0.1/his"
}

func (c *mockDB) Run(ctx context.Context) error {
	m, err := dbhis.Start(ctx, dbhis.Options{Driver: c.Driver, DSN: c.DSN, Listen: c.Listen, Control: c.Control, Latency: c.Latency, Poll: c.Poll, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.DSN())
}

type mockProc struct {
	mockOptions
	DSN string `name:"dsn" help:"PostgreSQL database of the hospital, reached without the proxy." required:""`
}

func (mockProc) Help() string {
	return "Example:\n  hishub mock proc --dsn postgres://his@127.0.0.1/his"
}

func (c *mockProc) Run(ctx context.Context) error {
	m, err := prochis.Start(ctx, prochis.Options{DSN: c.DSN, Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.DSN())
}

type mockFhir struct {
	mockOptions
	TokenLife time.Duration `help:"How long a login is good for." default:"30m"`
	PageSize  int           `help:"Most entries of a page." default:"50"`
	Links     string        `help:"What links to further pages begin with, as behind a proxy; the request's address if empty."`
	Hub       string        `help:"Where the hub listens for this hospital." placeholder:"http://127.0.0.1:8080/his/xingguang/notice"`
	Token     string        `help:"Bearer token of what is told there." default:"xingguang-notice" env:"XINGGUANG_NOTICE_TOKEN"`
}

func (mockFhir) Help() string {
	return "Example:\n  hishub mock fhir --control 127.0.0.1:9095 --hub http://127.0.0.1:8080/his/xingguang/notice\n  curl -d '{\"no\":\"RX20260105000001\"}' http://127.0.0.1:9095/push"
}

func (c *mockFhir) Run(ctx context.Context) error {
	m, err := fhirhis.Start(ctx, fhirhis.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry, TokenLife: c.TokenLife, PageSize: c.PageSize, Links: c.Links, Hub: c.Hub, Token: c.Token})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.URL())
}

type mockRegulator struct {
	mockOptions
	App    string `help:"Application of the uploader." default:"ih1000001" env:"JIANGUAN_APP"`
	Key    string `help:"Ends what is signed." default:"jianguan-test" env:"JIANGUAN_KEY"`
	Checks int    `help:"How often an upload is asked about before it has its verdict; negative: at once." default:"1"`
}

func (mockRegulator) Help() string { return "Example:\n  hishub mock regulator --checks 3" }

func (c *mockRegulator) Run(ctx context.Context) error {
	m, err := regulator.Start(ctx, regulator.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry, App: c.App, Key: c.Key, Checks: c.Checks})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.URL())
}

type mockSealed struct {
	mockOptions
	SealKey string        `help:"SM4 key, 32 hex digits." default:"00112233445566778899aabbccddeeff" env:"YONGAN_SEAL_KEY"`
	SignKey string        `help:"Ends what is signed." default:"yongan-test" env:"YONGAN_SIGN_KEY"`
	Hub     string        `help:"Where the hub listens for this hospital." placeholder:"http://127.0.0.1:8080/his/yongan/notice"`
	PreLife time.Duration `help:"How long a pre-settlement is good for." default:"15m"`
}

func (mockSealed) Help() string {
	return "Example:\n  hishub mock sealed --control 127.0.0.1:9094 --hub http://127.0.0.1:8080/his/yongan/notice\n  curl -d '{\"ddh\":\"IH1\",\"tkje\":\"1000\"}' http://127.0.0.1:9094/push"
}

func (c *mockSealed) Run(ctx context.Context) error {
	m, err := sealedhis.Start(ctx, sealedhis.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Repeats: books.Repeats(c.Repeats), Inquiry: c.Inquiry, SealKey: c.SealKey, SignKey: c.SignKey, Hub: c.Hub, PreLife: c.PreLife})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.URL())
}

type mockPay struct {
	Listen   string        `help:"Address for the hub." default:"127.0.0.1:0"`
	Control  string        `help:"Address for books, keys and faults: GET /books, GET /keys, POST /payments, POST /faults." default:"127.0.0.1:0"`
	Latency  time.Duration `help:"How long each request takes to be served." default:"0s"`
	Seed     uint64        `help:"Seed of faults with a rate." default:"1"`
	Merchant string        `help:"Account number." default:"1900000001"`
}

func (mockPay) Help() string {
	return "Example:\n  hishub mock pay --listen 127.0.0.1:8090 --control 127.0.0.1:9090\n\nGET /keys at the control address gives what a hospital's folder needs."
}

func (c *mockPay) Run(ctx context.Context) error {
	m, err := paychannel.Start(ctx, paychannel.Options{Listen: c.Listen, Control: c.Control, Latency: c.Latency, Seed: c.Seed, Merchant: c.Merchant})
	if err != nil {
		return err
	}
	return hold(ctx, m, m.URL())
}
