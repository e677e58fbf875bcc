package pgdev

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// oldest is the oldest major version that the schema is written for.
const oldest = 15

// programs are the binaries of one Postgres installation.
type programs struct {
	bin   string // the directory of postgres and initdb
	major int
}

// sources are where programs may come from.
type sources struct {
	folders    []string // patterns of folders with programs
	docker     string   // the docker program
	cache      string   // keeps downloaded programs
	repository string   // Maven repository with the programs of zonky's embedded-postgres-binaries
}

// machine is what this machine offers.
func machine() sources {
	return sources{
		folders:    append(filepath.SplitList(os.Getenv("PATH")), installations...),
		docker:     "docker",
		cache:      cacheFolder(),
		repository: "https://repo1.maven.org/maven2",
	}
}

// installations are where packages put their programs.
var installations = []string{
	"/usr/lib/postgresql/*/bin",              // Debian, Ubuntu
	"/usr/pgsql-*/bin",                       // Red Hat
	"/usr/libexec/postgresql*",               // Alpine
	"/opt/homebrew/opt/postgresql@*/bin",     // macOS
	"/usr/local/opt/postgresql@*/bin",        // macOS on Intel
	"/usr/local/pgsql/bin", "/usr/local/bin", // from source
}

// installed lists the machine's installations, newest first.
func (s sources) installed(ctx context.Context) []programs {
	var dirs []string
	for _, pattern := range s.folders {
		found, _ := filepath.Glob(pattern) // a folder of PATH that is no pattern has no programs
		dirs = append(dirs, found...)
	}
	var all []programs
	seen := map[string]bool{}
	for _, dir := range dirs {
		if p, ok := inspect(ctx, dir); ok && !seen[p.bin] {
			seen[p.bin] = true
			all = append(all, p)
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].major > all[j].major })
	return all
}

var versionRE = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect reports the installation in dir, if there is one that will do.
func inspect(ctx context.Context, dir string) (programs, bool) {
	postgres, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil {
		return programs{}, false
	}
	bin := filepath.Dir(postgres)
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return programs{}, false
	}
	out, err := exec.CommandContext(ctx, postgres, "--version").Output()
	if err != nil {
		return programs{}, false
	}
	m := versionRE.FindSubmatch(out)
	if m == nil {
		return programs{}, false
	}
	major, err := strconv.Atoi(string(m[1]))
	return programs{bin: bin, major: major}, err == nil && major >= oldest
}

// choose takes the newest installation, or for a directory with data the one
// that wrote it.
func choose(all []programs, dir string) (programs, error) {
	want := wroteData(dir)
	for _, p := range all {
		if want == 0 || p.major == want {
			return p, nil
		}
	}
	return programs{}, &versionError{dir: dir, have: all[0].major, want: want}
}

// wroteData is the major version that made the data in dir, 0 for none.
func wroteData(dir string) int {
	text, err := os.ReadFile(filepath.Join(place{dir}.data(), "PG_VERSION"))
	if dir == "" || err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return major
}

type versionError struct {
	dir        string
	have, want int
}

// Error implements error.
func (e *versionError) Error() string {
	return "the data in " + e.dir + " was made by Postgres " + strconv.Itoa(e.want) + ", this machine has " + strconv.Itoa(e.have) +
		"; install postgresql-" + strconv.Itoa(e.want) + " or start on another directory"
}
