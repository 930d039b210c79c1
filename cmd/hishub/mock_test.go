package main

import (
	"io/fs"
	"strings"
	"testing"

	ours "hishub/mapping/hospitals"
	"hishub/mocks/shipped"
)

// What a fake prints is all that its shipped folder needs: it loads with nothing else.
func TestMockSaysWhatItsFolderNeeds(t *testing.T) {
	for hospital, start := range map[string]shipped.Start{
		"beicheng": shipped.Beicheng, "dongshan": shipped.Dongshan, "jianguan": shipped.Jianguan, "lianhu": shipped.Lianhu,
		"qingshan": shipped.Qingshan, "xihu": shipped.Xihu, "xingguang": shipped.Xingguang, "yongan": shipped.Yongan,
	} {
		t.Run(hospital, func(t *testing.T) {
			his, _, err := start(t.Context(), shipped.Options{})
			ok(t, err)
			defer his.Close()
			var out strings.Builder
			announce(&out, his.(mock), "there")
			_, said, found := strings.Cut(out.String(), "\nset for the hub, as lines of a file for --env:\n")
			if !found {
				t.Fatalf("it printed\n%s", out.String())
			}
			env, err := parseVariables("printed", said)
			ok(t, err)
			files, err := fs.Sub(ours.FS, hospital)
			ok(t, err)
			_, err = loadFrom(files, func(name string) (string, bool) { v, set := env[name]; return v, set })
			ok(t, err)
		})
	}
}
