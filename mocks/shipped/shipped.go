// Package shipped starts the fake HIS of each hospital whose folder is shipped, with what the folder wants to
// know of it. Each function is named after its hospital.
package shipped

import (
	"context"
	"time"

	"hishub/mocks/asmxhis"
	"hishub/mocks/books"
	"hishub/mocks/dbhis"
	"hishub/mocks/fhirhis"
	"hishub/mocks/hl7his"
	"hishub/mocks/prochis"
	"hishub/mocks/pushhis"
	"hishub/mocks/regulator"
	"hishub/mocks/resthis"
	"hishub/mocks/sealedhis"
	"hishub/mocks/soaphis"
	"hishub/mocks/v3his"
)

// Options that all have.
type Options struct {
	Latency time.Duration // how long each request takes to be served
	Seed    uint64
	Repeats books.Repeats // the original's way if empty
	// Database is the URL of a PostgreSQL database of its own, for those who live in one.
	Database string
}

// HIS is a running fake.
type HIS interface {
	// ControlURL is where books and faults are, without a slash at its end.
	ControlURL() string
	Close() error
}

// Start opens one hospital's HIS. env is what its folder's variables are to be; what
// is missing there is as in the folder's env.sample.
type Start func(ctx context.Context, o Options) (his HIS, env map[string]string, err error)

// opened keeps a HIS that did not start from looking like one that did.
func opened[H HIS](his H, err error) (HIS, map[string]string, error) {
	if err != nil {
		return nil, nil, err
	}
	return his, Env(his), nil
}

// Env is what the variables of a HIS's folder are to be, however it was started; nil
// is for one that has no folder of its own. Secrets are the fakes' own, for tests.
func Env(his HIS) map[string]string {
	switch h := his.(type) {
	case *asmxhis.HIS:
		return map[string]string{"BEICHENG_URL": h.URL()}
	case *soaphis.HIS:
		return map[string]string{"DONGSHAN_URL": h.URL()}
	case *hl7his.HIS:
		return map[string]string{"HEPING_ADDRESS": h.Addr()}
	case *regulator.Platform:
		return map[string]string{"JIANGUAN_URL": h.URL(), "JIANGUAN_APP": h.Options().App, "JIANGUAN_KEY": h.Options().Key}
	case *prochis.HIS:
		return map[string]string{"JIANGWAN_DSN": h.DSN(), "JIANGWAN_LEDGER_DSN": h.DSN()}
	case *pushhis.HIS:
		return map[string]string{"LIANHU_URL": h.URL(), "LIANHU_KEY": h.Options().Key}
	case *dbhis.HIS:
		return map[string]string{"NANYUAN_DRIVER": h.Options().Driver, "NANYUAN_DSN": h.DSN()}
	case *v3his.HIS:
		return map[string]string{"QINGSHAN_URL": h.URL()}
	case *resthis.HIS:
		return map[string]string{"XIHU_URL": h.URL(), "XIHU_USER": h.Options().User, "XIHU_PASSWORD": h.Options().Password, "XIHU_NOTICE_KEY": XihuNoticeKey}
	case *fhirhis.HIS:
		return map[string]string{"XINGGUANG_URL": h.URL(), "XINGGUANG_CLIENT": h.Options().Client, "XINGGUANG_SECRET": h.Options().Secret, "XINGGUANG_NOTICE_TOKEN": h.Options().Token}
	case *sealedhis.HIS:
		return map[string]string{"YONGAN_URL": h.URL(), "YONGAN_SEAL_KEY": h.Options().SealKey, "YONGAN_SIGN_KEY": h.Options().SignKey}
	}
	return nil
}

// Beicheng is 北城医院.
func Beicheng(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := asmxhis.Start(ctx, asmxhis.Options{Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats})
	return opened(his, err)
}

// Dongshan is 东山医院.
func Dongshan(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := soaphis.Start(ctx, soaphis.Options{Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats})
	return opened(his, err)
}

// Heping is 和平医院. Where the hub listens for it is HEPING_LISTEN, and the hub's to say.
func Heping(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := hl7his.Start(ctx, hl7his.Options{Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats})
	return opened(his, err)
}

// Jianguan is 省互联网医疗监管平台.
func Jianguan(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := regulator.Start(ctx, regulator.Options{Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats})
	return opened(his, err)
}

// Jiangwan is 江湾医院; it lives in a database.
func Jiangwan(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := prochis.Start(ctx, prochis.Options{DSN: o.Database, Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats})
	return opened(his, err)
}

// Lianhu is 莲湖医院. What is not decided yet, it asks again soon.
func Lianhu(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := pushhis.Start(ctx, pushhis.Options{Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats, Again: 10 * time.Millisecond})
	return opened(his, err)
}

// Nanyuan is 南园医院; it lives in a database.
func Nanyuan(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := dbhis.Start(ctx, dbhis.Options{Driver: "postgres", DSN: o.Database, Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats})
	return opened(his, err)
}

// Qingshan is 青山医院.
func Qingshan(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := v3his.Start(ctx, v3his.Options{Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats})
	return opened(his, err)
}

// XihuNoticeKey is what 西湖 signs with when it calls the hub.
const XihuNoticeKey = "xihu-notice-test"

// Xihu is 西湖医院. Its logins end soon, so that they are renewed while one looks.
func Xihu(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := resthis.Start(ctx, resthis.Options{Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats, TokenLife: 20 * time.Second})
	return opened(his, err)
}

// Xingguang is 星光医院. Its pages are short, so that lists have several.
func Xingguang(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := fhirhis.Start(ctx, fhirhis.Options{Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats, PageSize: 4})
	return opened(his, err)
}

// Yongan is 永安医院.
func Yongan(ctx context.Context, o Options) (HIS, map[string]string, error) {
	his, err := sealedhis.Start(ctx, sealedhis.Options{Latency: o.Latency, Seed: o.Seed, Repeats: o.Repeats})
	return opened(his, err)
}
