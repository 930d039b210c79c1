package certify_test

import (
	"testing"

	"hishub/cmd/hishub/certify"
	"hishub/core"
	"hishub/mocks/shipped"
)

// own is a shipped folder's environment with its fake.
func own(t *testing.T, name string, start shipped.Start) map[string]string {
	t.Helper()
	his, more, err := start(t.Context(), shipped.Options{})
	opened(t, his, err)
	env := sample(t, name)
	for k, v := range more {
		env[k] = v
	}
	return env
}

// The platform compares the times inside a prescription with each other.
func TestJianguan(t *testing.T) {
	t.Parallel()
	c := run(t, "jianguan", own(t, "jianguan", shipped.Jianguan), certify.Options{Only: []string{"A", "B", "C", "D", "G", "H"}, Kinds: []core.Kind{core.PrescriptionCreate}})
	passes(t, c, append(each(drills, "prescription.create"), "C.once prescription.create", "G.rare prescription.create")...)
}
