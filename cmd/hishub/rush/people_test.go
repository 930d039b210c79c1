package rush

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"hishub/core/postgres"
	"hishub/core/redis"
	"hishub/platform/clinic"
	"hishub/platform/identity"
	"hishub/platform/patient"
)

// asker is who asks: a session's token, and the patient it asks for.
type asker struct {
	account        int64
	token, patient string
}

// phones keeps the last text that each got.
type phones struct{ sync.Map }

func (p *phones) Send(_ context.Context, phone, text string) error {
	p.Store(phone, text)
	return nil
}

// real names are believed.
type believed struct{}

func (believed) Verify(context.Context, int64, string, string, string) error { return nil }

var digits = regexp.MustCompile(`\d{6}`)

// signIn makes so many patients with a session each, as the clinic's own modules do. They
// come from addresses of their own: what one address may do is not the question here.
func signIn(t *testing.T, url, keyFile, redisURL string, n int) []asker {
	t.Helper()
	ctx := t.Context()
	store, err := postgres.Open(ctx, postgres.Options{URL: url, KeyFile: keyFile})
	must(t, "open the ledger", err)
	defer store.Close()
	memory, err := redis.Open(redisURL)
	must(t, "open Redis", err)
	defer memory.Close()
	db, err := postgres.Pool(ctx, url, 8, nil)
	must(t, "open the database", err)
	defer db.Close()
	shared := &clinic.Clinic{Database: db, Vault: store.Vault(), Trail: noTrail, Log: slog.New(slog.DiscardHandler)}
	texts := &phones{}
	people := identity.New(shared, redis.NewMemory(memory), identity.Limits{})
	people.Sender = texts
	patients := &patient.Service{Clinic: shared, RealName: believed{}}

	all := make([]asker, n)
	one := func(i int) error {
		phone, address := fmt.Sprintf("199%08d", i), fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
		if err := people.SendCode(ctx, phone, "", address); err != nil {
			return err
		}
		text, _ := texts.Load(phone)
		o, err := people.ByPhone(ctx, phone, digits.FindString(fmt.Sprint(text)), "", identity.Visitor{Address: address})
		if err != nil {
			return err
		}
		r, err := patients.Add(ctx, o.Account, address, patient.Self, patient.Details{Name: "测试患者", IDType: "id_card", IDNo: idCard(i), Phone: phone})
		all[i] = asker{o.Account, o.Token, r.No}
		return err
	}
	numbers := make(chan int)
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for i := range numbers {
				if err := one(i); err != nil {
					t.Errorf("sign in patient %d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// idCard is the number of a made-up person in a region that there is not.
func idCard(n int) string {
	body := fmt.Sprintf("999999%04d%02d%02d%03d", 1960+n/(12*28)%40, n/28%12+1, n%28+1, n/(12*28*40)%1000)
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(body[i]-'0') * w
	}
	return body + string("10X98765432"[sum%11])
}

// noTrail: that these people signed in is nobody's business.
func noTrail(pgx.Tx) clinic.Trail { return quiet{} }

type quiet struct{}

func (quiet) Keep(context.Context, clinic.Act) error { return nil }
