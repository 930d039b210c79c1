package functions

import (
	"fmt"
	"reflect"
	"time"

	"hishub/core"
)

var (
	anyType     = reflect.TypeFor[any]()
	boolType    = reflect.TypeFor[bool]()
	bytesType   = reflect.TypeFor[[]byte]()
	dataType    = reflect.TypeFor[Data]()
	decimalType = reflect.TypeFor[Decimal]()
	intType     = reflect.TypeFor[int]()
	listType    = reflect.TypeFor[[]any]()
	moneyType   = reflect.TypeFor[core.Fen]()
	textType    = reflect.TypeFor[string]()
	timeType    = reflect.TypeFor[time.Time]()
	treeType    = reflect.TypeFor[core.Tree]()
)

// validate is the static check of a call: the type of the result, or what is
// wrong with the arguments, in the words of the overload that came nearest. An
// argument's type is any when it is unknown, and nil for the literal nil.
func (f Function) validate() func([]reflect.Type) (reflect.Type, error) {
	overloads := make([]reflect.Type, len(f.Types))
	for i, t := range f.Types {
		overloads[i] = reflect.TypeOf(t).Elem()
	}
	return func(args []reflect.Type) (reflect.Type, error) {
		var nearest error
		for _, t := range overloads {
			if !countFits(t, len(args)) {
				continue
			}
			err := argumentsFit(t, args)
			if err == nil {
				return f.result(t, args), nil
			}
			if nearest == nil {
				nearest = err
			}
		}
		if nearest == nil {
			nearest = fmt.Errorf("does not take %d arguments: %s", len(args), f.Doc)
		}
		return nil, fmt.Errorf("%s %w", f.Name, nearest)
	}
}

func (f Function) result(t reflect.Type, args []reflect.Type) reflect.Type {
	if f.element && args[0] != treeType && args[0].Kind() == reflect.Slice {
		return args[0].Elem()
	}
	return t.Out(0)
}

func countFits(t reflect.Type, n int) bool {
	if t.IsVariadic() {
		return n >= t.NumIn()-1
	}
	return n == t.NumIn()
}

func argumentsFit(t reflect.Type, args []reflect.Type) error {
	for i, arg := range args {
		var in reflect.Type
		if last := t.NumIn() - 1; t.IsVariadic() && i >= last {
			in = t.In(last).Elem()
		} else {
			in = t.In(i)
		}
		if !fits(in, arg) {
			err := fmt.Errorf("takes %s, not %s%s", parameterName(in), kindName(arg), cure(parameterName(in), arg))
			if len(args) > 1 {
				err = fmt.Errorf("argument %d: %w", i+1, err)
			}
			return err
		}
	}
	return nil
}

func fits(in, arg reflect.Type) bool {
	if in == anyType || arg == anyType {
		return true
	}
	if arg == nil {
		return false
	}
	isText := arg.Kind() == reflect.String || arg == treeType
	switch in {
	case textType:
		return isText
	case dataType:
		return isText || arg == bytesType
	case decimalType:
		return isText || arg == intType
	case listType:
		return arg.Kind() == reflect.Slice && arg != bytesType
	}
	return arg == in
}

func parameterName(in reflect.Type) string {
	switch in {
	case dataType:
		return "text or bytes"
	case decimalType:
		return "decimal text"
	}
	return kindName(in)
}

// kindName is what somebody who writes a folder calls a type.
func kindName(t reflect.Type) string {
	switch t {
	case nil:
		return "nil"
	case anyType:
		return "a value"
	case boolType:
		return "true or false"
	case bytesType:
		return "bytes"
	case moneyType:
		return "money"
	case timeType:
		return "a time"
	case treeType:
		return "a tree"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	}
	return "a " + t.String()
}

func cure(wanted string, t reflect.Type) string {
	switch {
	case wanted == "money" && t != nil && t.Kind() == reflect.String:
		return "; write from_yuan(...) or from_fen(...)"
	case wanted == "a time" && t != nil && t.Kind() == reflect.String:
		return `; write from_time(..., "yyyy-MM-dd HH:mm:ss")`
	case wanted != "text" && wanted != "text or bytes" && wanted != "decimal text":
		return ""
	case t == moneyType:
		return "; write yuan(...) or fen(...)"
	case t == timeType:
		return `; write time(..., "yyyy-MM-dd HH:mm:ss")`
	case t == bytesType:
		return "; write base64(...) or hex(...)"
	case t == intType || t == boolType:
		return "; write text(...)"
	}
	return ""
}
