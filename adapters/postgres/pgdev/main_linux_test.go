package pgdev_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pgdev"
)

// helperEnv makes this program start a server: "<dir>:<capabilities to lose first>".
const helperEnv = "FEDDI_PGDEV_TEST_HELPER"

func TestMain(m *testing.M) {
	if order, ok := os.LookupEnv(helperEnv); ok {
		if err := help(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// help starts a server, prints its address and stops it at the end of the input.
func help(order string) error {
	dir, lose, _ := strings.Cut(order, ":")
	if lose != "" {
		return loseSetuid(dir)
	}
	s, err := pgdev.Start(context.Background(), pgdev.Options{Dir: dir, Durable: dir != "", Private: true})
	if err != nil {
		return err
	}
	fmt.Println(s.DSN(""))
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return s.Stop(context.Background())
}

// loseSetuid starts this program again as a root that may not change its user,
// as in a container without those capabilities.
func loseSetuid(dir string) error {
	const prCapBSetDrop, capSetgid, capSetuid = 24, 6, 7
	runtime.LockOSThread()
	for _, capability := range []uintptr{capSetgid, capSetuid} {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prCapBSetDrop, capability, 0); errno != 0 {
			return errno
		}
	}
	if err := os.Setenv(helperEnv, dir+":"); err != nil { // appended to the old value it would not count
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args[:1], os.Environ())
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Logf("not root: the start as an ordinary user is what every other test here does")
		t.SkipNow()
	}
}

func TestRootIsDropped(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	start(t, dir, false)
	info, err := os.Stat(fmt.Sprintf("/proc/%d", postmaster(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		t.Error("the server runs as root")
	}
}

func TestRootThatMayNotChangeItsUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	h := helper(t, dir, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), helperEnv+"="+dir+":setuid")
	})
	if got := do(t, h.dsn, "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d", postmaster(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		t.Errorf("the server runs as %d: the capability was not lost", uid)
	}
}

func TestAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const nobody = 65534
	dir := t.TempDir() + "/pg"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for up := dir; ; { // an ordinary user can enter the folders above its own
		up = up[:strings.LastIndexByte(up, '/')]
		if !strings.HasPrefix(up, os.TempDir()+"/") {
			break
		}
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.Open("/proc/self/exe") // go test keeps the program where only root can go
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }() // only read
	h := helper(t, dir, func(cmd *exec.Cmd) {
		cmd.Path, cmd.ExtraFiles, cmd.Dir = "/proc/self/fd/3", []*os.File{program}, "/"
		cmd.Env = append(os.Environ(), helperEnv+"="+dir+":")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	})
	if got := do(t, h.dsn, "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
}
