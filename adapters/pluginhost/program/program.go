// Package program looks at an actuator's executable without running it.
package program

import (
	"bufio"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// File is an actuator's executable as it lies on the disk.
type File struct {
	Path string // absolute
	// SHA256 in hexadecimal: of the file, or, for a script, of every file of its
	// folder, because a script is nothing without what it loads.
	SHA256 string
	Script bool // it begins with #!
	Files  int  // how many files the checksum covers
	Bytes  int64
}

// Bounds of a script's folder.
const (
	maxFolderFiles = 20_000
	maxFolderBytes = 1 << 30
)

// machines are the ELF machines of the architectures that Go builds for most.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM, "riscv64": elf.EM_RISCV,
	"ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "loong64": elf.EM_LOONGARCH,
}

// Inspect looks at an actuator's executable without running it. Errors say in a
// sentence what is wrong and what to do: missing, a directory, not executable,
// made for another machine, or a script's folder without measure.
func Inspect(path string) (File, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return File{}, err
	}
	p := File{Path: abs, Files: 1}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, fmt.Errorf("there is no %s; build the actuator first, for example with go build -o %s", abs, filepath.Base(abs))
	case err != nil:
		return p, err
	case info.IsDir():
		return p, fmt.Errorf("%s is a directory; name the executable in it", abs)
	case !info.Mode().IsRegular():
		return p, fmt.Errorf("%s is no regular file", abs)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o111 == 0:
		return p, fmt.Errorf("%s is not executable; run: chmod +x %s", abs, abs)
	}
	return p, p.read()
}

// read fills in what the file says of itself.
func (p *File) read() error {
	f, err := os.Open(p.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	head, err := bufio.NewReader(f).Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if p.Script = string(head) == "#!"; p.Script {
		return p.readFolder()
	}
	if err := fits(f); err != nil {
		return fmt.Errorf("%s %w", p.Path, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if p.Bytes, err = io.Copy(h, f); err != nil {
		return err
	}
	p.SHA256 = hex.EncodeToString(h.Sum(nil))
	return nil
}

// fits says whether this machine can run an executable. Only Linux's format is
// looked into; elsewhere the start says it.
func fits(f *os.File) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return errors.New("is neither a Linux executable nor a script that begins with #!; build it on or for this machine, with GOOS=linux GOARCH=" + runtime.GOARCH)
	}
	if want, known := machines[runtime.GOARCH]; known && e.Machine != want {
		return fmt.Errorf("is made for another machine (%s); build it with GOOS=linux GOARCH=%s", strings.TrimPrefix(e.Machine.String(), "EM_"), runtime.GOARCH)
	}
	return nil
}

// readFolder makes the checksum of every file of a script's folder: the
// SHA-256 of one line per file, "<sha256>  <path>\n", in the order of paths, as
// `find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` writes them.
func (p *File) readFolder() error {
	dir := filepath.Dir(p.Path)
	all := sha256.New()
	p.Files, p.Bytes = 0, 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			return p.link(dir, path)
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file; a script's folder holds files only", path)
		}
		sum, n, err := sumOf(path)
		if err != nil {
			return err
		}
		if p.Files, p.Bytes = p.Files+1, p.Bytes+n; p.Files > maxFolderFiles || p.Bytes > maxFolderBytes {
			return fmt.Errorf("the folder %s of the script holds more than %d files or %d MiB; give the actuator a folder of its own", dir, maxFolderFiles, maxFolderBytes>>20)
		}
		rel, err := filepath.Rel(dir, path)
		if err == nil {
			_, err = fmt.Fprintf(all, "%s  ./%s\n", sum, filepath.ToSlash(rel))
		}
		return err
	})
	p.SHA256 = hex.EncodeToString(all.Sum(nil))
	return err
}

// link lets a link pass that stays in the folder, whose target is summed itself.
func (p *File) link(dir, path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(root, target); err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("%s leads out of the script's folder to %s, where the checksum does not reach; copy it into the folder", path, target)
	}
	return nil
}

func sumOf(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
