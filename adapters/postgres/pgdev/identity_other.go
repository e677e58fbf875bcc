//go:build !linux

package pgdev

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// identity is the user that the server runs as: always ours.
type identity struct{ uid, gid int }

// chooseIdentity keeps an ordinary user; dropping root is for Linux.
func chooseIdentity(context.Context, programs) (identity, error) {
	if os.Geteuid() == 0 {
		return identity{}, errors.New("postgres refuses to run as root; run as an ordinary user")
	}
	return identity{uid: os.Geteuid(), gid: os.Getegid()}, nil
}

func (i identity) apply(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// bindToParent does nothing: this system has no signal at a parent's death, so
// the next start on the directory waits for the old server, and says so.
func (i identity) bindToParent(*exec.Cmd, bool) {}

func (i identity) own(string) error { return nil }

func (i identity) give(string) error { return nil }

// inside is the path itself: the server is the same user as we are.
func inside(_ int, path string) string { return path }

// apart starts cmd in a session of its own, so that no signal for us reaches it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func lockFile(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// worksIn takes a living process called postgres for the directory's server.
func worksIn(pid int, _ string) bool {
	out, err := exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "postgres")
}

// Memory is not known here.
func Memory() uint64 { return 0 }

func sharedBuffers() string { return "256MB" }

func temporaryBase(bool) string { return os.TempDir() }
