package core

import "time"

// IDType is the kind of an identity document.
type IDType string

// Values of IDType: resident identity card, passport, Hong Kong and Macao, Taiwan,
// military, birth certificate, other.
func (IDType) Values() []string {
	return []string{"id_card", "passport", "hk_macao", "taiwan", "military", "birth_certificate", "other"}
}

// Patient registers a person with the HIS (FHIR Patient). A child without a
// document of its own is registered under its guardian.
type Patient struct {
	PersonID     string    `json:"person_id" doc:"our number of the person; the business key" maxLength:"64"`
	Name         string    `json:"name" personal:"name" maxLength:"200"`
	Sex          Sex       `json:"sex" enum:"male,female,other,unknown"`
	BirthDate    string    `json:"birth_date" personal:"date" doc:"yyyy-MM-dd" maxLength:"10" example:"1990-01-01"`
	IDType       IDType    `json:"id_type" enum:"id_card,passport,hk_macao,taiwan,military,birth_certificate,other"`
	IDNo         string    `json:"id_no,omitempty" personal:"number" doc:"missing only for a child with a guardian" maxLength:"64"`
	Phone        string    `json:"phone" personal:"number" maxLength:"64"`
	Address      string    `json:"address,omitempty" personal:"text" maxLength:"200"`
	Guardian     *Guardian `json:"guardian,omitempty"`
	RegisteredAt time.Time `json:"registered_at"`
}

// Guardian of a child.
type Guardian struct {
	Name     string `json:"name" personal:"name" maxLength:"200"`
	IDNo     string `json:"id_no" personal:"number" maxLength:"64"`
	Phone    string `json:"phone,omitempty" personal:"number" maxLength:"64"`
	Relation string `json:"relation,omitempty" maxLength:"64"`
}

func (p *Patient) Key() string  { return p.PersonID }
func (p *Patient) Lane() string { return p.PersonID }

// Validate implements Body.
func (p *Patient) Validate() error {
	var c check
	c.id("person_id", p.PersonID)
	c.text("name", p.Name, maxName)
	c.enum("sex", string(p.Sex), p.Sex)
	c.date("birth_date", p.BirthDate)
	c.enum("id_type", string(p.IDType), p.IDType)
	c.id("phone", p.Phone)
	c.optional("address", p.Address, maxName)
	c.time("registered_at", p.RegisteredAt)
	if p.Guardian == nil {
		c.id("id_no", p.IDNo)
		return c.OrNil()
	}
	c.optional("id_no", p.IDNo, maxID)
	c.text("guardian.name", p.Guardian.Name, maxName)
	c.id("guardian.id_no", p.Guardian.IDNo)
	c.optional("guardian.phone", p.Guardian.Phone, maxID)
	c.optional("guardian.relation", p.Guardian.Relation, maxID)
	return c.OrNil()
}

// PatientQuery looks for a person's records in the HIS: by document, or, when it
// is asked as an inquiry about a registration, by our own number too.
type PatientQuery struct {
	PersonID string `json:"person_id,omitempty" maxLength:"64"`
	Name     string `json:"name" personal:"name" maxLength:"200"`
	IDType   IDType `json:"id_type" enum:"id_card,passport,hk_macao,taiwan,military,birth_certificate,other"`
	IDNo     string `json:"id_no" personal:"number" maxLength:"64"`
	Phone    string `json:"phone,omitempty" personal:"number" maxLength:"64"`
}

func (q *PatientQuery) Key() string  { return q.IDNo }
func (q *PatientQuery) Lane() string { return q.IDNo }

// Validate implements Body.
func (q *PatientQuery) Validate() error {
	var c check
	c.optional("person_id", q.PersonID, maxID)
	c.text("name", q.Name, maxName)
	c.enum("id_type", string(q.IDType), q.IDType)
	c.id("id_no", q.IDNo)
	c.optional("phone", q.Phone, maxID)
	return c.OrNil()
}

// Patients is the canonical answer to patient.find; a HIS may hold several
// records of one person.
type Patients struct {
	Patients []PatientRecord `json:"patients"`
}

// PatientRecord is a person's record in a HIS.
type PatientRecord struct {
	PatientNo string `json:"patient_no"`
	CardNo    string `json:"card_no,omitempty"`
	Name      string `json:"name,omitempty" personal:"name"`
	Sex       Sex    `json:"sex,omitempty"`
	BirthDate string `json:"birth_date,omitempty" personal:"date"`
	Phone     string `json:"phone,omitempty" personal:"number"`
	// UsedAt is when the HIS last used the record; the newest is usually the right one.
	UsedAt time.Time `json:"used_at,omitzero"`
}

// Append implements Paged.
func (p *Patients) Append(next any) { p.Patients = append(p.Patients, next.(*Patients).Patients...) }
