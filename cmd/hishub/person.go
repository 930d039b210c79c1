package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/redis"
	"hishub/platform/clinic"
	"hishub/platform/identity"
)

// personCmd looks after the clinic's people at the database: the first administrator,
// and what an administrator has locked himself out of.
type personCmd struct {
	Invite   personInvite   `cmd:"" help:"Make an account of staff, and print the code that sets its password, once."`
	List     personList     `cmd:"" help:"List staff with their roles."`
	Grant    personGrant    `cmd:"" help:"Give a role."`
	Revoke   personRevoke   `cmd:"" help:"Take a role away."`
	Disable  personDisable  `cmd:"" help:"Keep an account from being used, or let it be used again."`
	Sessions personSessions `cmd:"" help:"List the devices of an account, or sign it out everywhere."`
	Consent  personConsent  `cmd:"" help:"Publish the next version of a text that patients agree to."`
}

// withPeople opens the module at the database. Without a Redis it knows no sessions.
func (p place) withPeople(ctx context.Context, redisURL string, f func(*identity.Service) error) error {
	return p.with(ctx, func(store *postgres.Store) error {
		url, err := p.databaseURL()
		if err != nil {
			return err
		}
		db, err := postgres.Pool(ctx, url, 2, nil)
		if err != nil {
			return err
		}
		defer db.Close()
		memory := redis.Embedded()
		if redisURL != "" {
			memory.Close()
			if memory, err = redis.Open(redisURL); err != nil {
				return err
			}
		}
		defer memory.Close()
		people := identity.New(&clinic.Clinic{Database: db, Vault: store.Vault(), Trail: trailIn, Log: newLog(0)}, redis.NewMemory(memory), identity.Limits{})
		if err := people.Migrate(ctx); err != nil {
			return err
		}
		return f(people)
	})
}

// accountOf finds an account by its number, or a member of staff by his name.
func accountOf(ctx context.Context, s *identity.Service, who string) (identity.Account, error) {
	var a identity.Account
	var err error
	if id, e := strconv.ParseInt(who, 10, 64); e == nil {
		a, err = s.Account(ctx, id)
	} else {
		a, err = s.Named(ctx, who)
	}
	if errors.Is(err, clinic.ErrNotFound) {
		return a, core.Problems{{Field: "NAME", What: "no account has that name or number; see 'hishub person list'"}}
	}
	return a, err
}

type roleFlags struct {
	Role     string `help:"doctor, pharmacist, nurse, cashier, finance or hospital_admin, at a hospital; ops, release_approver or auditor, at one or everywhere; security_admin, everywhere." enum:",doctor,pharmacist,nurse,cashier,finance,hospital_admin,ops,release_approver,security_admin,auditor" default:""`
	Hospital string `help:"Hospital of the role; without it, everywhere, where the role may be."`
	Code     string `help:"The person's own code at that hospital's HIS; doctors and pharmacists need one."`
	Note     string `help:"Why."`
}

func (f roleFlags) grant(ctx context.Context, s *identity.Service, account int64) error {
	g, err := s.GrantAtDatabase(ctx, account, clinic.Grant{Role: clinic.Role(f.Role), Hospital: f.Hospital, Code: f.Code}, f.Note)
	if err != nil {
		return err
	}
	where := "everywhere"
	if g.Hospital != "" {
		where = "at " + g.Hospital
	}
	fmt.Fprintf(os.Stderr, "grant %d: account %d is %s %s\n", g.ID, account, g.Role, where)
	return nil
}

type personInvite struct {
	place
	Name  string `arg:"" help:"To sign in by: a-z, 0-9, dot, - and _."`
	Title string `help:"As others see the person; needed for a new one."`
	Reset bool   `help:"Take an existing password, second factor and all sessions away."`
	roleFlags
}

func (personInvite) Help() string {
	return "Examples:\n  hishub person invite li --title 李主任 --role security_admin\n  hishub person invite wang --title 王主任 --role hospital_admin --hospital dongshan\n  hishub person invite li --reset\n\nThe code is good for 72 hours. Whoever has it sets the password; the second factor is set up at the first sign-in. In the API it takes a step-up to invite; here it does not."
}

func (c *personInvite) Run(ctx context.Context) error {
	return c.withPeople(ctx, "", func(s *identity.Service) error {
		account, code, err := s.Invite(ctx, clinic.Person{}, c.Name, c.Title, c.Reset)
		if err != nil {
			return err
		}
		if c.Role != "" {
			if err := c.grant(ctx, s, account); err != nil {
				return err
			}
		}
		fmt.Println(code)
		return nil
	})
}

type personList struct {
	place
	JSON bool `name:"json" help:"For scripts."`
}

func (personList) Help() string { return "Example:\n  hishub person list --json" }

func (c *personList) Run(ctx context.Context) error {
	return c.withPeople(ctx, "", func(s *identity.Service) error {
		staff, err := s.Staff(ctx)
		if err != nil {
			return err
		}
		grants, err := s.Grants(ctx, "", false)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(map[string]any{"staff": staff, "grants": grants})
		}
		t := newTable("ACCOUNT", "NAME", "TITLE", "STATE", "GRANT", "ROLE", "HOSPITAL", "CODE")
		for _, a := range staff {
			state := "invited"
			switch {
			case a.Disabled:
				state = "disabled"
			case a.SecondFactor:
				state = "ready"
			case a.HasPassword:
				state = "no second factor"
			}
			none := true
			for _, g := range grants {
				if g.Account != a.ID {
					continue
				}
				role, hospital := g.Role, g.Hospital
				if g.State == identity.Proposed {
					role += " (proposed)"
				}
				if hospital == "" {
					hospital = "all"
				}
				t.row(a.ID, a.Name, a.Title, state, g.ID, role, hospital, g.Code)
				none = false
			}
			if none {
				t.row(a.ID, a.Name, a.Title, state, "", "", "", "")
			}
		}
		return t.print()
	})
}

type personGrant struct {
	place
	Who string `arg:"" name:"name" help:"Name, or number of the account."`
	roleFlags
}

func (personGrant) Help() string {
	return "Here one person is enough, and the audit says so; in the API whoever gives a role proves himself anew (step-up), and security_admin, auditor, finance and hospital_admin take two people.\n\nA code is one person's: who has it already is named, and revoked first.\n\nExample:\n  hishub person grant wang --role doctor --hospital dongshan --code 0007"
}

func (c *personGrant) Run(ctx context.Context) error {
	return c.withPeople(ctx, "", func(s *identity.Service) error {
		a, err := accountOf(ctx, s, c.Who)
		if err != nil {
			return err
		}
		return c.grant(ctx, s, a.ID)
	})
}

type personRevoke struct {
	place
	Grant int64  `arg:"" help:"Number of the grant from 'hishub person list'."`
	Note  string `help:"Why."`
}

func (personRevoke) Help() string { return "Example:\n  hishub person revoke 3 --note 'left'" }

func (c *personRevoke) Run(ctx context.Context) error {
	return c.withPeople(ctx, "", func(s *identity.Service) error {
		g, err := s.RevokeAtDatabase(ctx, c.Grant, c.Note)
		if err != nil {
			return err
		}
		fmt.Printf("account %d is not %s any more; running processes notice within 5 seconds\n", g.Account, g.Role)
		return nil
	})
}

type personDisable struct {
	place
	Who    string `arg:"" name:"name" help:"Name, or number of the account."`
	Note   string `help:"Why." required:""`
	Enable bool   `help:"The reverse."`
}

func (personDisable) Help() string {
	return "Examples:\n  hishub person disable wang --note 'telephone stolen'\n  hishub person disable wang --enable --note 'has a new one'"
}

func (c *personDisable) Run(ctx context.Context) error {
	return c.withPeople(ctx, "", func(s *identity.Service) error {
		a, err := accountOf(ctx, s, c.Who)
		if err != nil {
			return err
		}
		if c.Enable {
			return s.Enable(ctx, clinic.Person{}, a.ID, c.Note)
		}
		if err := s.Disable(ctx, clinic.Person{}, a.ID, c.Note); err != nil {
			return err
		}
		fmt.Println("disabled; running processes notice within 5 seconds")
		return nil
	})
}

type personSessions struct {
	place
	RedisURL string `help:"Where sessions are." env:"REDIS_URL" placeholder:"URL"`
	Who      string `arg:"" name:"name" help:"Name, or number of the account."`
	End      bool   `help:"Sign it out everywhere."`
	Note     string `help:"Why."`
}

func (personSessions) Help() string {
	return "Lists devices where a Redis keeps them; the stand-in of 'hishub up' is in its own memory. --end works with either.\n\nExamples:\n  hishub person sessions wang\n  hishub person sessions wang --end --note 'telephone stolen'"
}

func (c *personSessions) Run(ctx context.Context) error {
	return c.withPeople(ctx, c.RedisURL, func(s *identity.Service) error {
		a, err := accountOf(ctx, s, c.Who)
		if err != nil {
			return err
		}
		if c.End {
			if err := s.EndAll(ctx, clinic.Person{}, a.ID, c.Note); err != nil {
				return err
			}
			fmt.Println("signed out everywhere; running processes notice within 5 seconds")
			return nil
		}
		if c.RedisURL == "" {
			return errors.New("no Redis: set REDIS_URL; sessions of 'hishub up' without one are in its own memory, and only --end reaches them")
		}
		all, err := s.Sessions(ctx, a.ID, "")
		if err != nil {
			return err
		}
		t := newTable("SESSION", "CHANNEL", "DEVICE", "ADDRESS", "BEGAN", "SEEN", "ENDS")
		for _, e := range all {
			t.row(e.ID, e.Device.Channel, e.Device.Name, e.Address, e.Began.Local().Format(time.DateTime), e.Seen.Local().Format(time.DateTime), e.Ends.Local().Format(time.DateTime))
		}
		return t.print()
	})
}

type personConsent struct {
	place
	Kind  string `arg:"" help:"privacy, internet_diagnosis or sensitive_data." enum:"privacy,internet_diagnosis,sensitive_data"`
	File  string `arg:"" help:"The text." type:"existingfile"`
	Title string `required:"" help:"Its heading."`
}

func (personConsent) Help() string {
	return "The texts that come with the program are samples. Everybody is asked again after a new version.\n\nExample:\n  hishub person consent privacy privacy.txt --title 隐私政策"
}

func (c *personConsent) Run(ctx context.Context) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	return c.withPeople(ctx, "", func(s *identity.Service) error {
		version, err := s.Publish(ctx, identity.ConsentKind(c.Kind), c.Title, strings.TrimSpace(string(text)))
		if err != nil {
			return err
		}
		fmt.Printf("%s is version %d\n", c.Kind, version)
		return nil
	})
}
