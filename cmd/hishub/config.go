package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"hishub/platform/clinic"
)

// place says where the hub's data is. Every command that works on the database
// embeds it.
type place struct {
	Data        string `help:"Data folder of 'hishub up': private database, master key." env:"HISHUB_DATA" default:"${dataDefault}" placeholder:"DIR"`
	DatabaseURL string `help:"PostgreSQL to use instead of the private one." env:"DATABASE_URL" placeholder:"URL"`
	KeyFile     string `help:"Master key, mode 0600; by default master.key in the data folder." env:"HISHUB_KEY_FILE" placeholder:"FILE"`
}

// defaultData lies outside root's home, which the database's user cannot enter.
func defaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/hishub"
	}
	return "data"
}

// userName is under whose name this person's acts are recorded by default.
func userName() string {
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return "administrator"
}

func (p place) keyFile() string {
	if p.KeyFile != "" {
		return p.KeyFile
	}
	return filepath.Join(p.Data, "master.key")
}

// urlFile is where a running 'hishub up' leaves the address of its database.
func (p place) urlFile() string { return filepath.Join(p.Data, "database.url") }

// databaseURL finds the database: the one named, or that of the running 'hishub up'.
func (p place) databaseURL() (string, error) {
	if p.DatabaseURL != "" {
		return p.DatabaseURL, nil
	}
	b, err := os.ReadFile(p.urlFile())
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("no database: set DATABASE_URL, or --data to the folder of a running 'hishub up' (looked in %s)", p.Data)
	}
	return strings.TrimSpace(string(b)), err
}

// variables are files for the environment that hospital folders name.
type variables struct {
	Env []string `help:"File of NAME=value lines for hospital folders, as their env.sample; what the environment sets itself wins. May be given again." type:"existingfile" placeholder:"FILE" env:"HISHUB_ENV"`

	given map[string]bool // those that are in the environment because a file has them
}

// set puts the files' variables into this process's environment.
func (v *variables) set() error {
	v.given = map[string]bool{}
	return v.again()
}

// again reads the files once more: what they gave before is as they say now. When
// one of them cannot be read, everything stays as it is.
func (v *variables) again() error {
	all := map[string]string{}
	for _, file := range v.Env {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		found, err := parseVariables(file, string(text))
		if err != nil {
			return err
		}
		for name, value := range found {
			if _, earlier := all[name]; !earlier {
				all[name] = value
			}
		}
	}
	for name, value := range all {
		if _, set := os.LookupEnv(name); set && !v.given[name] {
			continue // the environment's own
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("the variable %s: %w", name, err)
		}
		v.given[name] = true
	}
	for name := range v.given {
		if _, still := all[name]; !still {
			delete(v.given, name)
			if err := os.Unsetenv(name); err != nil {
				return fmt.Errorf("the variable %s: %w", name, err)
			}
		}
	}
	return nil
}

// services are the servers beside the database; empty means the stand-in.
type services struct {
	AmqpURL   string `help:"RabbitMQ, of a cluster several addresses with commas between them; without it hints stay in this process." env:"AMQP_URL" placeholder:"URL"`
	RedisURL  string `help:"Redis; without it a stand-in in this process." env:"REDIS_URL" placeholder:"URL"`
	SMSURL    string `name:"sms-url" help:"Gateway that sends codes to phones; without it patients cannot sign in by phone." env:"HISHUB_SMS_URL" placeholder:"URL"`
	PublicURL string `name:"public-url" help:"Address at which payment channels reach this program, as https://clinic.example; without it they are asked what became of payments." env:"HISHUB_PUBLIC_URL" placeholder:"URL"`
	// TrustedProxies are those whose word is taken for where a request of people comes from.
	TrustedProxies []clinic.Proxy `name:"trusted-proxies" help:"Addresses and nets of the proxies in front of this program, as 10.0.0.7,10.1.0.0/16: what they put into X-Forwarded-For is where a request comes from. Without it that is who connects." env:"HISHUB_TRUSTED_PROXIES" placeholder:"CIDR"`

	StandIns bool `help:"Stand-ins for WeChat's login and the check of real names, for trying out: they believe everybody." env:"HISHUB_STAND_INS"`
}

func newLog(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
