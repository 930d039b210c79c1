package main

import (
	"io/fs"
	"os/exec"
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
			_, said, found := strings.Cut(out.String(), "\nset for the hub:")
			if !found {
				t.Fatalf("it printed\n%s", out.String())
			}
			// As a shell reads it.
			printed, err := exec.Command("env", "-i", "sh", "-c", "env -i"+strings.TrimSuffix(said, "\n")+" env").Output()
			ok(t, err)
			env, err := parseVariables("printed", string(printed))
			ok(t, err)
			files, err := fs.Sub(ours.FS, hospital)
			ok(t, err)
			_, err = loadFrom(files, func(name string) (string, bool) { v, set := env[name]; return v, set })
			ok(t, err)
		})
	}
}
