package certify

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// folder is chapter A: what can be said without the HIS.
func (r *run) folder() {
	results := r.Agreed.RunCases()
	r.cert.Coverage = Coverage(r.Folder.Dialect, results)
	r.cert.Variables = variables(r.Files)
	r.item("A.check", "", func(it *Item) {
		for _, w := range r.Folder.Warnings {
			it.say("提醒：%s", "worth a look: %s", w)
		}
	})
	r.item("A.cases", "", func(it *Item) {
		for _, c := range results {
			if !c.Passed() {
				it.fail("%s：%s", "%s: %s", c.Name, strings.Join(c.Differences, "; "))
			}
		}
		switch {
		case len(results) == 0:
			it.fail("没有用例", "there are no cases")
		case it.Result == Pass:
			it.say("%d 个用例全部通过", "%d cases pass", len(results))
		}
	})
	r.item("A.coverage", "", func(it *Item) {
		for _, c := range r.cert.Coverage {
			if c.Cases == 0 {
				it.fail("%s 没有用例", "%s has no case", c.Kind)
			}
		}
	})
	r.item("A.identity", "", func(it *Item) {
		it.say("摘要 %s", "digest %s", r.cert.Digest)
		it.say("环境变量：%s", "environment: %s", or(strings.Join(r.cert.Variables, ", "), "–"))
	})
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// variables are the names of the environment that the folder's files use.
func variables(files fs.FS) []string {
	names := map[string]bool{}
	found, _ := fs.Glob(files, "*.yaml")
	for _, name := range found {
		if strings.HasPrefix(path.Base(name), ".") {
			continue
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			continue
		}
		for _, m := range variable.FindAllSubmatch(data, -1) {
			names[string(m[1])] = true
		}
	}
	return sorted(names)
}
