package draft

import (
	"reflect"
	"strings"
	"time"

	"hishub/core"
)

// canon is a field of a canonical message or answer.
type canon struct {
	name     string
	is       canonType
	values   []string // of a code
	fields   []canon  // of a record, or of each of many
	required bool
}

type canonType int

const (
	isText canonType = iota
	isDay            // text yyyy-MM-dd
	isMoney
	isTime
	isCode
	isTruth
	isNumber
	isTexts
	isMany
	isRecord
)

// messageOf are the fields of a transaction's message.
func messageOf(kind core.Kind) []canon {
	t, ok := core.Lookup(kind)
	if !ok {
		return nil
	}
	return canonsOf(reflect.TypeOf(t.Body()).Elem(), 0)
}

// answerOf are the fields of its answer.
func answerOf(kind core.Kind) []canon {
	t, ok := core.Lookup(kind)
	if !ok {
		return nil
	}
	return canonsOf(reflect.TypeOf(t.Answer()).Elem(), 0)
}

func canonsOf(t reflect.Type, depth int) []canon {
	var all []canon
	if t.Kind() != reflect.Struct || depth > 3 {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			all = append(all, canonsOf(f.Type, depth)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		c := canonOf(f.Type, depth)
		c.name, c.required = name, !strings.Contains(options, "omit")
		if c.is == isText && (strings.HasSuffix(name, "date") || name == "day" || name == "from" || name == "to") {
			c.is = isDay
		}
		all = append(all, c)
	}
	return all
}

func canonOf(t reflect.Type, depth int) canon {
	if e, ok := reflect.Zero(t).Interface().(core.Enumeration); ok && t.Kind() == reflect.String {
		return canon{is: isCode, values: e.Values()}
	}
	switch {
	case t == reflect.TypeFor[core.Fen]():
		return canon{is: isMoney}
	case t == reflect.TypeFor[time.Time]():
		return canon{is: isTime}
	case t.Kind() == reflect.Bool:
		return canon{is: isTruth}
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return canon{is: isNumber}
	case t.Kind() == reflect.Pointer:
		c := canonOf(t.Elem(), depth)
		if c.is == isMany {
			return canon{}
		}
		return c
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return canon{is: isTexts}
	case t.Kind() == reflect.Slice:
		return canon{is: isMany, fields: canonsOf(t.Elem(), depth+1)}
	case t.Kind() == reflect.Struct:
		return canon{is: isRecord, fields: canonsOf(t, depth+1)}
	}
	return canon{}
}
