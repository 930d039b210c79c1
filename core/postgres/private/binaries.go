package private

import (
	"cmp"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// binaries is one installed PostgreSQL.
type binaries struct {
	dir   string
	major int
}

// findBinaries returns the installed PostgreSQL of that major version, or for 0
// the one in PATH, or else the newest in the places packages put them.
func findBinaries(major int) (binaries, error) {
	var installed []binaries
	if path, err := exec.LookPath("initdb"); err == nil {
		// A link into a version's folder has postgres beside its target only.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			installed = append(installed, inFolder(filepath.Dir(path))...)
		}
	}
	var packaged []binaries
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"} {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			packaged = append(packaged, inFolder(dir)...)
		}
	}
	slices.SortFunc(packaged, func(a, b binaries) int { return cmp.Compare(b.major, a.major) })
	return choose(append(installed, packaged...), major)
}

func choose(installed []binaries, major int) (binaries, error) {
	if len(installed) == 0 {
		return binaries{}, errors.New("PostgreSQL's programs (initdb, postgres) are neither in PATH nor in /usr/lib/postgresql/*/bin: " +
			"install them (Debian, Ubuntu: apt-get install postgresql), or set DATABASE_URL to a server elsewhere")
	}
	for _, b := range installed {
		if major == 0 || b.major == major {
			return b, nil
		}
	}
	return binaries{}, fmt.Errorf("the cluster was made by PostgreSQL %d but only version %d is installed: "+
		"install version %d (apt-get install postgresql-%d), or move the data with pg_upgrade or pg_dump",
		major, installed[0].major, major, major)
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inFolder returns the PostgreSQL in dir, or none.
func inFolder(dir string) []binaries {
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return nil
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return nil
	}
	found := versionLine.FindSubmatch(out)
	if found == nil {
		return nil
	}
	major, _ := strconv.Atoi(string(found[1]))
	return []binaries{{dir, major}}
}
