package console

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	han         = regexp.MustCompile(`\p{Han}`)
	placeholder = regexp.MustCompile(`\{\w+\}`)
	// between is text between two tags of JSX; words that stand there are in no dictionary.
	between = regexp.MustCompile(`>[^<>{}()=;]*[A-Za-z]{2,}[^<>{}()=;]*</`)
	// said are attributes that people see or hear.
	said    = regexp.MustCompile(`\b(title|placeholder|label|aria-label|alt|description|okText|extra)="([^"]*[A-Za-z]{2,}[^"]*)"`)
	comment = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
)

// Names that are the same in every language.
var names = []string{"hishub"}

func webFiles(t *testing.T, ends ...string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("web", "src"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.ContainsFunc(ends, func(e string) bool { return strings.HasSuffix(path, e) }) {
			all = append(all, path)
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d files: %v", len(all), err)
	}
	return all
}

// Both languages have every text, with the same places to fill; none is empty.
func TestBothLanguagesAreComplete(t *testing.T) {
	read := func(path string) map[string]string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]string
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if keys := regexp.MustCompile(`(?m)^\s*"([^"]+)":`).FindAllStringSubmatch(string(text), -1); len(keys) != len(all) {
			t.Errorf("%s has a key twice", path)
		}
		return all
	}
	for _, zhPath := range webFiles(t, "zh.json") {
		enPath := strings.TrimSuffix(zhPath, "zh.json") + "en.json"
		zh, en := read(zhPath), read(enPath)
		for key := range en {
			if _, ok := zh[key]; !ok {
				t.Errorf("%s lacks %q", zhPath, key)
			}
		}
		for key, chinese := range zh {
			english, ok := en[key]
			if !ok {
				t.Errorf("%s lacks %q", enPath, key)
				continue
			}
			if strings.TrimSpace(chinese) == "" || strings.TrimSpace(english) == "" {
				t.Errorf("%s: %q is empty", zhPath, key)
			}
			if han.MatchString(english) && key != "language" { // which names the other one
				t.Errorf("%s: %q is Chinese", enPath, key)
			}
			a, b := placeholder.FindAllString(chinese, -1), placeholder.FindAllString(english, -1)
			slices.Sort(a)
			slices.Sort(b)
			if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
				t.Errorf("%s: %q fills %v, the other language %v", zhPath, key, a, b)
			}
		}
	}
}

// Every text of a page comes from a dictionary, and every text of a dictionary is used.
func TestNoTextStandsInTheCode(t *testing.T) {
	code := map[string]string{}
	for _, path := range webFiles(t, ".ts", ".tsx") {
		if strings.HasSuffix(path, "schema.d.ts") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		source := comment.ReplaceAllString(string(text), "")
		code[path] = source
		if found := han.FindString(source); found != "" {
			t.Errorf("%s has Chinese in it (%s…): put it into zh.json and en.json", path, found)
		}
		if !strings.HasSuffix(path, ".tsx") {
			continue
		}
		for _, found := range between.FindAllString(source, -1) {
			if words := strings.TrimSpace(strings.Trim(found, "></")); !slices.Contains(names, words) {
				t.Errorf("%s has the text %q in it: put it into zh.json and en.json", path, words)
			}
		}
		for _, found := range said.FindAllStringSubmatch(source, -1) {
			if !slices.Contains(names, found[2]) {
				t.Errorf("%s has %s=%q in it: put it into zh.json and en.json", path, found[1], found[2])
			}
		}
	}
	for _, zhPath := range webFiles(t, "zh.json") {
		text, err := os.ReadFile(zhPath)
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]string
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatal(err)
		}
		// A key may be made of parts: then its beginning stands in the code.
		for key := range all {
			stem := key
			if i := strings.LastIndexByte(key, '.'); i > 0 {
				stem = key[:i+1] + "${"
			}
			used := false
			for path, source := range code {
				if strings.HasPrefix(zhPath, filepath.Join("web", "src", "pages")) && filepath.Dir(path) != filepath.Dir(zhPath) && key != "menu" {
					continue
				}
				if strings.Contains(source, "'"+key+"'") || strings.Contains(source, "`"+stem) || strings.Contains(source, "."+key) || strings.Contains(source, "`"+"${group}.${value}`") && strings.Count(key, ".") > 0 && filepath.Base(filepath.Dir(zhPath)) == "words" {
					used = true
					break
				}
			}
			if !used {
				t.Errorf("%s: nothing says %q", zhPath, key)
			}
		}
	}
}
