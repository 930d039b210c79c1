-- Sealed: who reviewed it is a person with an identity number.
alter table prescription.prescription add column review bytea;
