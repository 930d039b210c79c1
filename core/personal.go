package core

import (
	"reflect"
	"strings"
)

// Personal visits the texts of a message or answer that name a person and are
// not empty: fields tagged personal, whose kind is "name", "number" (of a
// document or telephone), "date" (of birth) or "text" (which may hold the
// others). name is the JSON path without positions: "patients.name".
func Personal(of any, visit func(name, kind string, field reflect.Value)) {
	if of != nil {
		personal(reflect.ValueOf(of), "", visit)
	}
}

func personal(v reflect.Value, at string, visit func(name, kind string, field reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			personal(v.Elem(), at, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			personal(v.Index(i), at, visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field, of := v.Field(i), v.Type().Field(i)
			name, _, _ := strings.Cut(of.Tag.Get("json"), ",")
			switch {
			case of.Anonymous || name == "":
				name = at
			case at != "":
				name = at + "." + name
			}
			if kind := of.Tag.Get("personal"); kind != "" && field.Kind() == reflect.String {
				if field.Len() > 0 {
					visit(name, kind, field)
				}
			} else if of.IsExported() {
				personal(field, name, visit)
			}
		}
	}
}
