package folder

import "os"

// lock locks nothing here, where an open file cannot be removed.
func lock(*os.File) bool { return true }
