package draft_test

import (
	"os"
	"testing"

	"hishub/mapping/draft"
)

// Whatever the bytes are: no panic, and what is drafted loads but for its open points.
func fuzz(f *testing.F, pattern string, sources func(data []byte) draft.Sources) {
	for _, name := range glob(f, pattern) {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		s := sources(data)
		s.ID, s.Name = "lanxi", "兰溪医院"
		if folder, err := draft.New(t.Context(), s); err == nil {
			open(t, folder)
		}
	})
}

func FuzzOpenAPI(f *testing.F) {
	fuzz(f, "testdata/openapi/*", func(data []byte) draft.Sources {
		return draft.Sources{OpenAPIs: []draft.File{{Name: "x.yaml", Data: data}}}
	})
}

func FuzzSQL(f *testing.F) {
	fuzz(f, "testdata/sql/*", func(data []byte) draft.Sources {
		return draft.Sources{Schemas: []draft.File{{Name: "x.sql", Data: data}}}
	})
}

func FuzzSample(f *testing.F) {
	fuzz(f, "testdata/samples/*", func(data []byte) draft.Sources {
		return draft.Sources{Samples: []draft.File{{Name: "saveRecipe.request.xml", Data: data}, {Name: "saveRecipe.response.xml", Data: data}}}
	})
}
