package connectors

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"hishub/core"
)

// The accounts in docs/bills.md open, but for keys that stand in no document.
func TestAccountsInTheDocumentOpen(t *testing.T) {
	text, err := os.ReadFile("../docs/bills.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i, block := range strings.Split(string(text), "```yaml\n") {
		if i == 0 {
			continue
		}
		var folder struct {
			Channels map[string]map[string]map[string]any
		}
		block, _, _ = strings.Cut(block, "```")
		if err := yaml.Unmarshal([]byte(block), &folder); err != nil {
			t.Fatal(err)
		}
		for name, account := range folder.Channels {
			for kind, options := range account {
				seen[kind]++
				for o, v := range options {
					if n, ok := v.(uint64); ok { // the mapping reads numbers as int
						options[o] = int(n)
					}
					if m, ok := v.(map[string]any); ok {
						for k, v := range m {
							if n, ok := v.(uint64); ok {
								m[k] = int(n)
							}
						}
					}
				}
				_, err := OpenChannel(core.ConnectorSpec{Name: name, Kind: kind, Options: options})
				var problems core.Problems
				errors.As(err, &problems)
				for _, p := range problems {
					if !strings.Contains(p.Field, "key") {
						t.Errorf("%s: %s: %s", name, p.Field, p.What)
					}
				}
			}
		}
	}
	if seen["file"] != 2 || seen["alipay"] != 1 || seen["wechatpay"] != 1 {
		t.Errorf("the document has %v", seen)
	}
}
