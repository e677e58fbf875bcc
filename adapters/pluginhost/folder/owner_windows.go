package folder

import "os"

// own and sweep do nothing here: an open file cannot be renamed, nor a lock tell who
// lives.
func own(string) (*os.File, error) { return nil, nil }

func sweep(string) {}
