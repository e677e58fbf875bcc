//go:build linux

package pgdev_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pgdev"
)

// nowhere answers no request.
const nowhere = "http://127.0.0.1:1"

func TestAMachineWithoutAnythingIsToldWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := pgdev.StartFrom(t.Context(), pgdev.Options{Dir: t.TempDir()}, nil, "/nonexistent/docker", t.TempDir(), nowhere)
	if err == nil || !strings.Contains(err.Error(), "apt-get install -y postgresql") {
		t.Errorf("err = %v", err)
	}
}

// enterable makes a temporary folder that any user can enter; t.TempDir is the owner's alone.
func enterable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgdev-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// archive packs this machine's programs the way the repository has them.
func archive(t *testing.T) []byte {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		t.Fatalf("no Debian programs to pack: %v", err)
	}
	root := filepath.Dir(found[len(found)-1])
	tree := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "lib"), filepath.Join(tree, "lib")); err != nil {
		t.Fatal(err)
	}
	packed := exec.Command("tar", "--use-compress-program=xz -0", "-C", tree, "-cf", "-", "lib", "-C", root, "bin/postgres", "bin/initdb", "bin/pg_ctl")
	packed.Stderr = os.Stderr
	txz, err := packed.Output()
	if err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	w, err := z.Create("postgres-linux-x86_64.txz")
	if err == nil {
		_, err = w.Write(txz)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return jar.Bytes()
}

func TestProgramsAreDownloadedOnce(t *testing.T) {
	t.Parallel()
	jar := archive(t)
	downloads := 0
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, ".jar"):
			downloads++
			_, _ = w.Write(jar) // the client complains
		case strings.HasSuffix(r.URL.Path, ".sha256"):
			_, _ = fmt.Fprintf(w, "%x", sha256.Sum256(jar)) // as above
		}
	}))
	defer repository.Close()
	cache := filepath.Join(enterable(t), "cache")
	for range 2 {
		s, err := pgdev.StartFrom(t.Context(), pgdev.Options{}, nil, "/nonexistent/docker", cache, repository.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got := do(t, s.DSN(""), "SELECT 1"); got != "1" {
			t.Errorf("got %q", got)
		}
		stop(t, s)
	}
	if downloads != 1 {
		t.Errorf("%d downloads, want one", downloads)
	}
}

func TestADamagedDownloadIsNotUsed(t *testing.T) {
	t.Parallel()
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("not an archive")) // the client complains
	}))
	defer repository.Close()
	_, err := pgdev.StartFrom(t.Context(), pgdev.Options{}, nil, "/nonexistent/docker", enterable(t), repository.URL)
	if err == nil || !strings.Contains(err.Error(), "download Postgres") {
		t.Errorf("err = %v", err)
	}
}

func TestTheNewestImageThatWillDo(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"":                                 "",
		"postgres:9.6\npostgres:14-alpine": "",
		"postgres:latest\npostgres:<none>": "",
		"postgres:15\npostgres:17.2-alpine\nredis:99": "postgres:17.2-alpine",
		"postgres:16-bookworm\npostgres:9":            "postgres:16-bookworm",
	} {
		if got := pgdev.NewestImage(list); got != want {
			t.Errorf("of %q: %q, want %q", list, got, want)
		}
	}
}

func TestAContainerListensOnLoopbackOnlyAndKeepsItsData(t *testing.T) {
	t.Parallel()
	args := pgdev.ContainerArgs("postgres:17", "secret", "/home/x", true)
	for _, want := range []string{"127.0.0.1::5432", "/home/x/container:/feddi", "POSTGRES_PASSWORD=secret", "--rm"} {
		if !slices.Contains(args, want) {
			t.Errorf("no %s in %v", want, args)
		}
	}
	if slices.Contains(args, "fsync=off") {
		t.Error("a durable container without fsync")
	}
	if args := pgdev.ContainerArgs("postgres:17", "secret", "", false); slices.Contains(args, "--volume") || !slices.Contains(args, "fsync=off") {
		t.Errorf("temporary: %v", args)
	}
}
