package mapping

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestSchemaTakesWhatTheLoaderTakes(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("folder.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("folder.json")
	if err != nil {
		t.Fatal(err)
	}
	validate := func(text string) error {
		b, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	for _, name := range good {
		for file, f := range folder(t, name) {
			if strings.HasSuffix(file, ".yaml") && !strings.Contains(file, "/") {
				if err := validate(string(f.Data)); err != nil {
					t.Errorf("%s/%s: %v", name, file, err)
				}
			}
		}
	}
	shipped, err := filepath.Glob("hospitals/*/*.yaml")
	if err != nil || len(shipped) == 0 {
		t.Fatal("no shipped folder: ", err)
	}
	for _, file := range shipped {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		// A line that nobody can see whole is read by nobody.
		for n, line := range strings.Split(string(text), "\n") {
			if utf8.RuneCountInString(line) > 180 {
				t.Errorf("%s:%d: the line is longer than 180 characters", file, n+1)
			}
		}
	}
	for _, bad := range []string{
		"grammar: 1\nhospital: x\n", "grammar: 1\nhospital: x\nname: x\nconnectors: {default: {rest: {}}}\nenvelope: {}\n", "payment.setle: {}\n",
		"payment.settle: {sends: 1}\n", "payment.settle: {steps: [{call: x}]}\n", "payment.settle: {settle_after: soon}\n", "payment.settle: {when_parked: never}\n",
		"channel.refund: {call: x}\n", "grammar: 1\nhospital: x\nname: x\nconnectors: {default: {rest: {}}}\nchannels: {wechats: {wechatpay: {}}}\n",
		"grammar: 1\nhospital: x\nname: x\nconnectors: {default: {rest: {}}}\nchannels: {insurance: {ask: [1]}}\n",
		"grammar: 1\nhospital: x\nname: x\nconnectors: {default: {rest: {}}}\nreconcile: {margins: 1m}\n",
	} {
		if validate(bad) == nil {
			t.Errorf("the schema takes %q", bad)
		}
	}
}
