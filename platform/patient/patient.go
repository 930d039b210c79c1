// Package patient is who is treated: the people of each account's family, and what each
// hospital's HIS calls them.
package patient

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Relation of a patient to the account (FHIR RelatedPerson.relationship).
type Relation string

// The relations.
const (
	Self   Relation = "self"
	Child  Relation = "child"
	Parent Relation = "parent"
	Spouse Relation = "spouse"
	Other  Relation = "other"
)

// Values of Relation.
func (Relation) Values() []string {
	return []string{string(Self), string(Child), string(Parent), string(Spouse), string(Other)}
}

// Details are what names a patient.
type Details struct {
	Name      string      `json:"name" maxLength:"60"`
	IDType    core.IDType `json:"id_type" enum:"id_card,passport,hk_macao,taiwan,military,birth_certificate,other"`
	IDNo      string      `json:"id_no,omitempty" maxLength:"40" doc:"missing only for a child under 14, whose guardian's it then is"`
	Sex       core.Sex    `json:"sex,omitempty" enum:"male,female,other,unknown" doc:"an identity card says it"`
	BirthDate string      `json:"birth_date,omitempty" maxLength:"10" doc:"yyyy-MM-dd; an identity card says it"`
	Phone     string      `json:"phone" maxLength:"20"`
	Address   string      `json:"address,omitempty" maxLength:"200"`
}

// Record of a patient (FHIR Patient).
type Record struct {
	No       string   `json:"no" doc:"our number of the patient"`
	Account  int64    `json:"-"`
	Relation Relation `json:"relation" enum:"self,child,parent,spouse,other"`
	Details
	// Guardian of a child under 14: the account's own person.
	Guardian *core.Guardian `json:"guardian,omitempty"`
	// Verified: name and number were found to belong together. Who is not cannot book
	// or consult.
	Verified bool `json:"verified"`
	Version  int  `json:"version"`

	created time.Time
}

// Masked is the record as staff see it who have no reason to see all.
func (r Record) Masked() Record {
	r.Name, r.IDNo, r.Phone, r.BirthDate, r.Address = core.MaskName(r.Name), core.MaskNumber(r.IDNo), core.MaskNumber(r.Phone), core.MaskDate(r.BirthDate), ""
	r.Guardian = nil
	return r
}

// Age in whole years at a time, by the calendar of its zone.
func (r Record) Age(at time.Time) int {
	born, err := time.Parse(time.DateOnly, r.BirthDate)
	if err != nil {
		return 0
	}
	age := at.Year() - born.Year()
	if at.Month() < born.Month() || at.Month() == born.Month() && at.Day() < born.Day() {
		age--
	}
	return max(age, 0)
}

// guarded is until when a person needs a guardian, in years.
const guarded = 14

// RealName tells whether a name and an identity card number belong together
// (identity.RealName): ErrRule when they do not, *clinic.TooMany when this account or
// address asked too often, clinic.ErrNoService when it cannot be said now.
type RealName interface {
	Verify(ctx context.Context, account int64, address, name, idNo string) error
}

// Guardians gives the role of a guardian (identity.MakeGuardian).
type Guardians interface {
	MakeGuardian(ctx context.Context, tx pgx.Tx, account int64) error
}

// Service is the module.
type Service struct {
	*clinic.Clinic
	Guardians Guardians // nil: who enters a child acts as a patient does
	// RealName verifies identity cards; nil: nobody is verified here, and who needs it is
	// told so.
	RealName RealName
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "patient", schema)
}

// Add a patient to an account's family. The person himself comes first; a child under 14
// has him as its guardian. address is where the request comes from.
func (s *Service) Add(ctx context.Context, account int64, address string, relation Relation, d Details) (Record, error) {
	if err := d.complete(time.Now()); err != nil {
		return Record{}, err
	}
	verified, err := s.verify(ctx, account, address, d)
	if err != nil {
		return Record{}, fmt.Errorf("add patient: %w", err)
	}
	r := Record{No: clinic.NewNumber("P", time.Now()), Account: account, Relation: relation, Details: d, Verified: verified, Version: 1}
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if err := s.guard(ctx, tx, &r); err != nil {
			return err
		}
		if r.Guardian != nil && s.Guardians != nil {
			if err := s.Guardians.MakeGuardian(ctx, tx, account); err != nil {
				return err
			}
		}
		sealed, err := s.seal(r)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `insert into patient.patient (no, account, relation, details, document, phone, name, verified_at)
			values ($1, $2, $3, $4, $5, $6, $7, case when $8 then clock_timestamp() end) returning created_at`,
			r.No, account, relation, sealed, s.document(r), s.Vault.Index(r.Phone, phoneIndex), s.Vault.Index(r.Name, nameIndex), verified).Scan(&r.created)
	})
	if clinic.Duplicate(err) {
		return Record{}, fmt.Errorf("add patient: %w: this person is in the family already", clinic.ErrState)
	} else if err != nil {
		return Record{}, fmt.Errorf("add patient: %w", err)
	}
	return r, nil
}

// Purposes of what is sealed and found.
const (
	sealedDetails = "patient"
	documentIndex = "patient document"
	phoneIndex    = "patient phone"
	nameIndex     = "patient name"
)

func (s *Service) seal(r Record) ([]byte, error) {
	text, err := json.Marshal(struct {
		Details
		Guardian *core.Guardian `json:"guardian,omitempty"`
	}{r.Details, r.Guardian})
	if err != nil {
		return nil, err
	}
	return s.Vault.Seal(text, sealedDetails, r.No)
}

// document is the index of the document; a child's without one is made of its guardian
// and name.
func (s *Service) document(r Record) []byte {
	of := string(r.IDType) + " " + strings.ToUpper(r.IDNo)
	if r.IDNo == "" {
		of = "child of " + strings.ToUpper(r.Guardian.IDNo) + " " + r.Name + " " + r.BirthDate
	}
	return s.Vault.Index(of, documentIndex)
}

// complete fills in what an identity card says, and names everything that is wrong.
func (d *Details) complete(now time.Time) error {
	var ps core.Problems
	problem := func(field, what string) { ps = append(ps, core.Problem{Field: field, What: what}) }
	d.Name, d.IDNo = strings.TrimSpace(d.Name), strings.ToUpper(strings.TrimSpace(d.IDNo))
	if d.Name == "" {
		problem("name", "missing")
	}
	if d.Phone == "" {
		problem("phone", "missing")
	}
	if d.IDType == "id_card" && d.IDNo != "" {
		born, sex, err := core.ParseIDCard(d.IDNo)
		switch {
		case err != nil:
			problem("id_no", err.Error())
		case d.BirthDate != "" && d.BirthDate != born:
			problem("birth_date", "is not the one of the identity card")
		case d.Sex != "" && d.Sex != sex:
			problem("sex", "is not the one of the identity card")
		default:
			d.BirthDate, d.Sex = born, sex
		}
	}
	born, err := time.Parse(time.DateOnly, d.BirthDate)
	switch {
	case len(ps) > 0:
	case d.BirthDate == "":
		problem("birth_date", "missing: only an identity card says it by itself")
	case err != nil:
		problem("birth_date", "is no date, as 1990-01-02")
	case born.After(now):
		problem("birth_date", "is in the future")
	}
	if d.Sex == "" && len(ps) == 0 {
		problem("sex", "missing: only an identity card says it by itself")
	}
	return ps.OrNil()
}

func (s *Service) verify(ctx context.Context, account int64, address string, d Details) (bool, error) {
	if d.IDType != "id_card" || d.IDNo == "" || s.RealName == nil {
		return false, nil
	}
	if err := s.RealName.Verify(ctx, account, address, d.Name, d.IDNo); err != nil {
		return false, fmt.Errorf("verify the real name: %w", err)
	}
	return true, nil
}

// guard gives a child under 14 its guardian, who must be in the family and verified.
func (s *Service) guard(ctx context.Context, tx pgx.Tx, r *Record) error {
	if r.Age(time.Now()) >= guarded {
		if r.IDNo == "" {
			return core.Problems{{Field: "id_no", What: "missing: only a child under 14 has none"}}
		}
		return nil
	}
	if r.Relation == Self {
		return fmt.Errorf("%w: guardian: a child under 14 is entered by its guardian", clinic.ErrRule)
	}
	self, err := s.one(ctx, tx, `account = $1 and relation = 'self' and removed_at is null`, r.Account)
	if errors.Is(err, clinic.ErrNotFound) || err == nil && !self.Verified {
		return fmt.Errorf("%w: guardian: enter and verify yourself first", clinic.ErrRule)
	} else if err != nil {
		return err
	}
	if self.Age(time.Now()) < 18 {
		return fmt.Errorf("%w: guardian: a guardian is of age", clinic.ErrRule)
	}
	r.Guardian = &core.Guardian{Name: self.Name, IDNo: self.IDNo, Phone: self.Phone, Relation: string(r.Relation)}
	// A child without a card of its own is vouched for by its guardian.
	r.Verified = r.Verified || r.IDNo == ""
	return nil
}

// Family of an account, oldest entry first.
func (s *Service) Family(ctx context.Context, account int64) ([]Record, error) {
	return s.many(ctx, `account = $1 and removed_at is null order by created_at`, account)
}

// Owned is a patient of an account's family; clinic.ErrNotFound for anybody else's.
func (s *Service) Owned(ctx context.Context, account int64, no string) (Record, error) {
	return s.one(ctx, s.Database, `no = $1 and account = $2 and removed_at is null`, no, account)
}

// Get any patient.
func (s *Service) Get(ctx context.Context, no string) (Record, error) {
	return s.one(ctx, s.Database, `no = $1`, no)
}

// Bookable is a patient of the account's family who may book and consult: rule real name.
func (s *Service) Bookable(ctx context.Context, account int64, no string) (Record, error) {
	r, err := s.Owned(ctx, account, no)
	if err == nil && !r.Verified {
		return r, fmt.Errorf("%w: real name: this person's name is not verified", clinic.ErrRule)
	}
	return r, err
}

// Contact is what may change of a patient.
type Contact struct {
	Phone   string `json:"phone" minLength:"1" maxLength:"20"`
	Address string `json:"address,omitempty" maxLength:"200"`
	IDCard  string `json:"id_card,omitempty" maxLength:"18" doc:"number of the identity card of a child who had no document of its own until now"`
	Version int    `json:"version" minimum:"1" maximum:"2147483647" doc:"the version that was read; another one since is a conflict"`
}

// Change a patient's telephone and address, and enter the first identity card of a child.
// Another name or document is another person. address is where the request comes from.
func (s *Service) Change(ctx context.Context, account int64, no, address string, c Contact) (Record, error) {
	r, err := s.Owned(ctx, account, no)
	if err != nil {
		return r, err
	}
	verified := false
	if c.IDCard != "" {
		// Outside of the transaction: the register of names takes its time.
		if verified, err = s.firstCard(ctx, account, address, &r, c.IDCard); err != nil {
			return r, fmt.Errorf("change patient: %w", err)
		}
	}
	card := r.Details
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) (err error) {
		if r, err = s.one(ctx, tx, `no = $1 and account = $2 and removed_at is null for update`, no, account); err != nil {
			return err
		}
		if r.Version != c.Version {
			return fmt.Errorf("change patient: %w: it is at version %d meanwhile; read it again", clinic.ErrState, r.Version)
		}
		r.Phone, r.Address, r.Version = c.Phone, c.Address, r.Version+1
		if c.IDCard != "" {
			r.IDType, r.IDNo, r.Verified = card.IDType, card.IDNo, verified
		}
		sealed, err := s.seal(r)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update patient.patient set details = $2, phone = $3, document = $4, verified_at = case when $5 then clock_timestamp() else verified_at end,
			version = version + 1, updated_at = clock_timestamp() where no = $1`, no, sealed, s.Vault.Index(r.Phone, phoneIndex), s.document(r), verified)
		return err
	})
	if clinic.Duplicate(err) {
		return r, fmt.Errorf("change patient: %w: this person is in the family already", clinic.ErrState)
	}
	return r, err
}

// firstCard enters the identity card of a child whom its guardian vouched for until now:
// the child is the same, as its card says.
func (s *Service) firstCard(ctx context.Context, account int64, address string, r *Record, card string) (verified bool, err error) {
	if r.IDNo != "" {
		return false, fmt.Errorf("%w: another document is another person", clinic.ErrRule)
	}
	r.IDType, r.IDNo = "id_card", card
	if err := r.complete(time.Now()); err != nil {
		return false, err
	}
	verified, err = s.verify(ctx, account, address, r.Details)
	if err == nil && !verified {
		err = fmt.Errorf("%w: real names cannot be verified", clinic.ErrNoService)
	}
	return verified, err
}

// Remove a patient from the family. What was done for him stays.
func (s *Service) Remove(ctx context.Context, account int64, no string) error {
	tag, err := s.Database.Exec(ctx, `update patient.patient p set removed_at = clock_timestamp() where no = $1 and account = $2 and removed_at is null
		and (relation <> 'self' or not exists (select from patient.patient c where c.account = $2 and c.relation <> 'self' and c.removed_at is null))`, no, account)
	if err != nil {
		return fmt.Errorf("remove patient: %w", err)
	}
	if tag.RowsAffected() == 0 {
		if _, err := s.Owned(ctx, account, no); err != nil {
			return err
		}
		return fmt.Errorf("remove patient: %w: the others of the family go first", clinic.ErrRule)
	}
	return nil
}

// Search is for patients whom a hospital knows, by telephone, document number or whole
// name, for its staff. They are masked.
type Search struct {
	Phone string `json:"phone,omitempty" maxLength:"20"`
	IDNo  string `json:"id_no,omitempty" maxLength:"40"`
	Name  string `json:"name,omitempty" maxLength:"60" doc:"the whole name"`
}

// Find at most 50 of them; all that is given must fit.
func (s *Service) Find(ctx context.Context, hospital string, q Search) ([]Record, error) {
	if q == (Search{}) {
		return nil, core.Problems{{Field: "phone", What: "missing: say a telephone, a document's number or a name"}}
	}
	index := func(text, purpose string) []byte {
		if text == "" {
			return nil
		}
		return s.Vault.Index(text, purpose)
	}
	var documents [][]byte
	if q.IDNo != "" {
		for _, t := range core.IDType("").Values() {
			documents = append(documents, s.Vault.Index(t+" "+strings.ToUpper(strings.TrimSpace(q.IDNo)), documentIndex))
		}
	}
	all, err := s.many(ctx, `exists (select from patient.identity i where i.patient = no and i.hospital = $1)
		and ($2::bytea is null or phone = $2) and ($3::bytea[] is null or document = any($3)) and ($4::bytea is null or name = $4)
		order by no limit 50`, hospital, index(q.Phone, phoneIndex), documents, index(strings.TrimSpace(q.Name), nameIndex))
	for i := range all {
		all[i] = all[i].Masked()
	}
	return all, err
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

const columns = `no, account, relation, details, verified_at is not null, version, created_at`

func (s *Service) scan(row pgx.CollectableRow) (r Record, err error) {
	var sealed []byte
	if err := row.Scan(&r.No, &r.Account, &r.Relation, &sealed, &r.Verified, &r.Version, &r.created); err != nil {
		return r, err
	}
	text, err := s.Vault.Open(sealed, sealedDetails, r.No)
	if err != nil {
		return r, fmt.Errorf("read patient %s: %w", r.No, err)
	}
	opened := struct {
		*Details
		Guardian **core.Guardian `json:"guardian"`
	}{&r.Details, &r.Guardian}
	err = json.Unmarshal(text, &opened)
	// A child that its guardian vouches for.
	r.Verified = r.Verified || r.Guardian != nil && r.IDNo == ""
	return r, err
}

func (s *Service) one(ctx context.Context, q querier, where string, args ...any) (Record, error) {
	rows, err := q.Query(ctx, `select `+columns+` from patient.patient where `+where, args...)
	if err != nil {
		return Record{}, fmt.Errorf("read patient: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, s.scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Record{}, clinic.ErrNotFound
	}
	return r, err
}

func (s *Service) many(ctx context.Context, where string, args ...any) ([]Record, error) {
	rows, err := s.Database.Query(ctx, `select `+columns+` from patient.patient where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list patients: %w", err)
	}
	return pgx.CollectRows(rows, s.scan)
}
