package migrations

import "io/fs"

// The runner on any set of files; for tests.
var (
	RunFS     = runFS
	PendingFS = pendingFS
	HashFS    = hashFS
)

// Texts are the schema's files by name.
func Texts() map[string][]byte {
	all := map[string][]byte{}
	names, _ := fs.Glob(files, "*.sql")
	for _, name := range names {
		all[name], _ = files.ReadFile(name)
	}
	return all
}
