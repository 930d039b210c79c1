package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core"
)

// holdsNUL is what is said of a text with the character NUL in it, which no database keeps
// and no HIS reads.
const holdsNUL = "holds the character NUL"

// maxNULs bounds how many places with NUL are named.
const maxNULs = 20

// nuls names the places of a JSON text that hold NUL: JSON can only write it as \u0000.
func nuls(data []byte) (ps core.Problems) {
	if !bytes.Contains(data, []byte(`\u0000`)) {
		return nil
	}
	var v any
	if err := json.Unmarshal(data, &v); err == nil { // what is no JSON is refused elsewhere
		ps = nulsAt(nil, v, "")
	}
	return ps
}

func nulsAt(ps core.Problems, v any, at string) core.Problems {
	if len(ps) == maxNULs {
		return ps
	}
	switch v := v.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			ps = append(ps, core.Problem{Field: at, What: holdsNUL})
		}
	case []any:
		for i, e := range v {
			ps = nulsAt(ps, e, fmt.Sprintf("%s[%d]", at, i))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			place := at // of a name that may be anything, only where it stands is said
			if plainName.MatchString(name) {
				place = join(at, name)
			}
			if strings.ContainsRune(name, 0) {
				ps = append(ps, core.Problem{Field: at, What: "holds a name with the character NUL"})
			}
			ps = nulsAt(ps, v[name], place)
		}
	}
	return ps
}

// nulsIn are the places that an error of huma's is about, which holds the whole body.
func nulsIn(errs []error) core.Problems {
	for _, err := range errs {
		if d, ok := err.(*huma.ErrorDetail); ok && d.Message == holdsNUL {
			if body, ok := d.Value.(string); ok {
				return nuls([]byte(body))
			}
		}
	}
	return nil
}
