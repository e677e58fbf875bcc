package pgdev

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// identity is the user that the server runs as; Postgres refuses root.
type identity struct {
	uid, gid  int
	drop      bool // root becomes uid
	namespace bool // root stays root, and looks like another user from inside
}

// chooseIdentity keeps an ordinary user. Root becomes postgres, else nobody;
// where root may not change its user (setuid is not among its capabilities),
// a user namespace with one entry makes it look ordinary.
func chooseIdentity(ctx context.Context, p programs) (identity, error) {
	if os.Geteuid() != 0 {
		return identity{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	var failed error
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid) // numbers on Linux
		gid, _ := strconv.Atoi(u.Gid)
		who := identity{uid: uid, gid: gid, drop: true}
		if failed = who.try(ctx, p); failed == nil {
			return who, nil
		}
	}
	who := identity{namespace: true}
	if err := who.try(ctx, p); err != nil {
		return who, fmt.Errorf("postgres refuses to run as root, and root can neither become another user (%w) nor open a user namespace (%w); run as an ordinary user", failed, err)
	}
	return who, nil
}

// try runs the smallest program there is as this identity.
func (i identity) try(ctx context.Context, p programs) error {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "postgres"), "--version")
	cmd.Dir = "/"
	i.apply(cmd)
	return cmd.Run()
}

// apply makes cmd run as this identity.
func (i identity) apply(cmd *exec.Cmd) {
	a := &syscall.SysProcAttr{Setpgid: true} // Ctrl-C in a terminal is for us, not for the server
	switch {
	case i.drop:
		a.Credential = &syscall.Credential{Uid: uint32(i.uid), Gid: uint32(i.gid)}
	case i.namespace:
		a.Cloneflags = syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getegid(), Size: 1}}
	}
	cmd.SysProcAttr = a
}

// bindToParent has the kernel end the server when we end: in order where its
// data matters, at once where not.
func (i identity) bindToParent(cmd *exec.Cmd, durable bool) {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	if durable {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGINT
	}
}

// own gives dir and all in it to the identity where somebody else has it.
func (i identity) own(dir string) error {
	if owner(dir) == i.uid {
		return nil
	}
	return i.give(dir)
}

// give gives dir and all in it to the identity; only root has to, and can.
func (i identity) give(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, i.uid, i.gid)
	})
}

// owner is the user that path belongs to, -1 if unknown.
func owner(path string) int {
	info, err := os.Lstat(path)
	if err != nil {
		return -1
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && info.IsDir() {
		return int(st.Uid)
	}
	return -1
}

// inside is how the server reaches an inherited directory without walking there.
func inside(fd int, _ string) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// apart starts cmd in a session of its own, so that no signal for us reaches it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func lockFile(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// alive reports whether process pid runs; one that has ended and was not
// waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ") // the name before may hold anything but ends here
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}

// worksIn reports whether process pid has dir as its working directory, as a
// server has its data directory.
func worksIn(pid int, dir string) bool {
	theirs, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil {
		return false
	}
	ours, err := os.Stat(dir)
	return err == nil && os.SameFile(theirs, ours)
}

// Memory is the machine's, in bytes; 0 where it is not known.
func Memory() uint64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }() // only read
	var kb uint64
	s := bufio.NewScanner(f)
	for s.Scan() {
		if _, err := fmt.Sscanf(s.Text(), "MemTotal: %d kB", &kb); err == nil {
			break
		}
	}
	return kb << 10
}

// sharedBuffers is a sixteenth of the memory, 64 MB to 1 GB.
func sharedBuffers() string {
	return strconv.FormatUint(min(max(Memory()>>20/16, 64), 1024), 10) + "MB"
}

// roomy is the free memory that a memory file system needs to be worth it.
const roomy = 2 << 30

// temporaryBase is where temporary homes go: in memory where nothing has to
// survive, which makes a cold start two to four times as fast.
func temporaryBase(durable bool) string {
	const memory = "/dev/shm"
	var fs syscall.Statfs_t
	if durable || syscall.Statfs(memory, &fs) != nil || fs.Bavail*uint64(fs.Bsize) < roomy {
		return os.TempDir()
	}
	if probe, err := os.MkdirTemp(memory, "feddi-pg-"); err != nil || os.Remove(probe) != nil {
		return os.TempDir()
	}
	return memory
}
