package main

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"hishub/core/postgres"
	ships "hishub/mapping/hospitals"
	"hishub/mocks/paychannel"
	"hishub/mocks/pushhis"
	province "hishub/mocks/regulator"
	"hishub/mocks/servers"
	"hishub/mocks/shipped"
	"hishub/mocks/sms"
	"hishub/platform/clinic"
	"hishub/platform/patient"
	"hishub/platform/rx"
)

// day is the whole program on its embedded defaults, with three hospitals of three
// dialects and an account at a payment channel, and who works and is treated there.
type day struct {
	*office
	channel  *paychannel.Server
	his      map[string]shipped.HIS
	province *province.Platform // the regulator

	admin, doctor, pharmacist, nurse, cashier, finance string // tokens
	patient                                            string
	account                                            int64
	him                                                patient.Record

	split *parted // nil: all is in one process

	mu   sync.Mutex
	done map[string]int // method and path of what succeeded
}

// places of the day, and who tells of drugs that were handed out.
var dayHospitals = []string{"lianhu", "beicheng", "jiangwan"}

const (
	doctorCode     = "00731"
	pharmacistCode = "00815"
)

// newDay starts everything.
func newDay(t *testing.T, inParts bool) *day {
	ctx, cancel := context.WithCancel(context.Background())
	d := &day{office: &office{TB: t, words: &words{}}, his: map[string]shipped.HIS{}, done: map[string]int{}}
	d.went = func(method, path string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		path, _, _ = strings.Cut(path, "?")
		d.done[method+" "+path]++
	}
	var err error
	d.sms, err = sms.Start(ctx, sms.Options{})
	ok(t, err)
	t.Cleanup(func() { d.sms.Close() })
	d.channel, err = paychannel.Start(ctx, paychannel.Options{})
	ok(t, err)
	t.Cleanup(func() { d.channel.Close() })
	k := d.channel.Keys()
	for name, value := range map[string]string{"WECHAT_URL": d.channel.URL(), "WECHAT_MERCHANT": k.Merchant, "WECHAT_SERIAL": k.Serial, "WECHAT_KEY": k.MerchantKey,
		"WECHAT_PUBLIC_KEY": k.PublicKey, "WECHAT_PUBLIC_KEY_ID": k.PublicKeyID, "WECHAT_API_V3_KEY": k.APIV3Key} {
		t.Setenv(name, value)
	}
	for name, start := range map[string]shipped.Start{"lianhu": shipped.Lianhu, "beicheng": shipped.Beicheng, "jiangwan": shipped.Jiangwan} {
		o := shipped.Options{}
		if name == "jiangwan" {
			o.Database = servers.Postgres(t)
		}
		his, env, err := start(ctx, o)
		ok(t, err)
		t.Cleanup(func() { his.Close() })
		d.his[name] = his
		for name, value := range env {
			t.Setenv(name, value)
		}
	}
	d.province, err = province.Start(ctx, province.Options{Checks: -1})
	ok(t, err)
	t.Cleanup(func() { d.province.Close() })
	for name, value := range shipped.Env(d.province) {
		t.Setenv(name, value)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	listen := free.Addr().String()
	ok(t, free.Close())

	url := servers.Postgres(t)
	ok(t, postgres.Migrate(ctx, url))
	log := slog.New(slog.NewTextHandler(d.words, nil))
	keyFile, with := filepath.Join(t.TempDir(), "key"), services{SMSURL: d.sms.URL(), StandIns: true, PublicURL: "http://" + listen}
	if inParts {
		with.RedisURL = servers.Redis(t)
	}
	d.hub, err = openHub(ctx, log, url, keyFile, true, with)
	ok(t, err)
	d.listen, d.nights = listen, nightsOff
	ok(t, d.openClinic(ctx, url))
	for _, name := range dayHospitals {
		_, _, err := applyFolder(ctx, d.store, withAccount(t, name), "test", "")
		ok(t, err)
	}
	folder, err := fs.Sub(ships.FS, "jianguan")
	ok(t, err)
	_, _, err = applyFolder(ctx, d.store, folder, "test", "")
	ok(t, err)
	if inParts {
		t.Cleanup(func() { cancel(); d.close() })
		d.startSplit(ctx, t, listen, url, keyFile)
		d.his["lianhu"].(*pushhis.HIS).SetHub(d.address + "/his/lianhu/platform")
		return d
	}
	up, down := make(chan string, 1), make(chan error, 1)
	go func() { down <- d.run(ctx, func(address string) { up <- address }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-down; err != nil {
			t.Error(err)
		}
		d.close()
	})
	select {
	case d.address = <-up:
	case err := <-down:
		down <- nil
		t.Fatal(err)
	}
	d.his["lianhu"].(*pushhis.HIS).SetHub(d.address + "/his/lianhu/platform")
	return d
}

// withAccount is a folder as it is shipped, with an account at WeChat Pay.
func withAccount(t *testing.T, name string) fs.FS {
	t.Helper()
	folder, err := fs.Sub(ships.FS, name)
	ok(t, err)
	files := fstest.MapFS{}
	ok(t, fs.WalkDir(folder, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(folder, path)
		files[path] = &fstest.MapFile{Data: data}
		return err
	}))
	text, others := string(files["hospital.yaml"].Data), ""
	if m := regexp.MustCompile(`(?m)^channels: \{(.*)\}\n`).FindStringSubmatch(text); m != nil {
		text, others = strings.Replace(text, m[0], "", 1), "  "+m[1]+"\n"
	}
	text += `
channels:
  wechat:
    wechatpay:
      base: "${WECHAT_URL}"
      payments: true
      app_id: wx0000000000000001
      merchant: "${WECHAT_MERCHANT}"
      serial: "${WECHAT_SERIAL}"
      key: "${WECHAT_KEY}"
      public_key: "${WECHAT_PUBLIC_KEY}"
      public_key_id: "${WECHAT_PUBLIC_KEY_ID}"
      api_v3_key: "${WECHAT_API_V3_KEY}"
` + others
	files["hospital.yaml"].Data = []byte(text)
	return files
}

// must asks and expects success; into may be nil.
func (d *day) must(token, method, path string, body, into any) {
	d.Helper()
	s := d.ask(token, method, clinic.Prefix+path, body)
	if s.status > 299 {
		d.Fatalf("%s %s: %d %s", method, path, s.status, s.text)
	}
	if into != nil {
		ok(d, json.Unmarshal([]byte(s.text), into))
	}
}

// refused asks and expects that status, and words in the answer.
func (d *day) refused(token, method, path string, body any, status int, words string) {
	d.Helper()
	if s := d.ask(token, method, clinic.Prefix+path, body); s.status != status || !strings.Contains(s.text, words) {
		d.Errorf("%s %s: %d %s, want %d with %q", method, path, s.status, s.text, status, words)
	}
}

// until looks until it is so.
func awaited[T any](d *day, token, path, what string, is func(T) bool) (v T) {
	d.Helper()
	end := time.Now().Add(30 * time.Second)
	for {
		v = *new(T)
		d.must(token, "GET", path, nil, &v)
		if is(v) {
			return v
		}
		if time.Now().After(end) {
			d.Fatalf("%s: not %s: %+v", path, what, v)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func at(hospital, path string) string { return "/hospitals/" + hospital + path }

// TestClinicDay is a day of the clinic over its API alone: from an invitation to drugs
// that were handed out, in three hospitals that speak three dialects. At its end the
// journal, the payment channel and each HIS tell of the same money.
func TestClinicDay(t *testing.T) {
	newDay(t, false).wholeDay(t)
}

func (d *day) wholeDay(t *testing.T) {
	d.staff()
	d.lists()
	d.arrives()
	d.noQuietHours()
	given := map[string]rx.Rx{}
	for _, h := range dayHospitals {
		k := d.consulted(h)
		d.talk(k)
		d.pictures(k)
		p := d.prescribed(k)
		d.pays(p.Order)
		given[h] = awaited(d, d.patient, "/own"+at(h, "/prescriptions/"+p.No), "at the HIS", func(p rx.Rx) bool { return p.State == rx.SentHIS && p.HisNo != "" })
		d.must(d.doctor, "POST", at(h, "/consults/"+k.No+"/end"), object{"diagnosis": "急性上呼吸道感染", "advice": "多饮水"}, nil)
		d.must(d.patient, "POST", "/consults/"+k.No+"/rating", object{"stars": 5}, nil)
	}
	d.handedOut(given["lianhu"])
	d.refundsALine(given["beicheng"])
	d.pickedUp(given["beicheng"])
	d.noticed(given)
	d.regulatorHas(given)
	d.followed(given["beicheng"])
	d.booksAgree(given)
	t.Run("what shows a patient is in the audit", func(t *testing.T) {
		d.everythingElse()
		d.inTheAudit(t)
	})
}
