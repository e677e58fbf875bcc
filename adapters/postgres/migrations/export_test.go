package migrations

// The runner on any set of files; for tests.
var (
	RunFS     = runFS
	PendingFS = pendingFS
	HashFS    = hashFS
)
