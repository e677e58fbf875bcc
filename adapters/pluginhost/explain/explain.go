// Package explain puts the failed start of an actuator into words for its
// author.
package explain

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/feddi/feddi/plugins/sdk/handshake"
)

// causes are what a start can fail of, by what is found in its error, in words
// for the author of an actuator.
var causes = []struct{ found, says string }{
	{"Incompatible core API version", "the actuator speaks another version of the handshake than this feddi: build it with the SDK of this release"},
	{"Failed to read any lines from plugin's stdout", "the actuator ended before it answered, or never answered; run it by hand to see why: it should say that it is a plugin"},
	{"Unrecognized remote plugin message", "the actuator printed something else than the handshake: its main must only call sdk.Serve, and log to standard error (sdk.Logger)"},
	{"timeout while waiting for plugin to start", "the actuator did not answer in time: its main must call sdk.Serve at once and prepare nothing before"},
	{"exec format error", "the system cannot run the file: build it for this machine"},
	{"no such file or directory", "the file, or the interpreter that its first line names, is not there"},
	{"plugin exited before we could connect", "the actuator ended before it answered; run it by hand to see why: it should say that it is a plugin"},
}

// Explained is a failed start with what it means.
type Explained struct {
	Says  string // for the author
	cause error
}

// Error implements error.
func (e *Explained) Error() string { return e.Says }

// Unwrap gives what the system said.
func (e *Explained) Unwrap() error { return e.cause }

// Start puts the failure of a start into words for the actuator's author,
// where it is a known one.
func Start(err error) error {
	if said := otherVersion.FindStringSubmatch(err.Error()); said != nil {
		return &Explained{versions(said[1]), err}
	}
	for _, c := range causes {
		if strings.Contains(err.Error(), c.found) {
			return &Explained{c.says, err}
		}
	}
	return err
}

// otherVersion finds the version that an actuator settled on and the host does
// not speak, in go-plugin's words.
var otherVersion = regexp.MustCompile(`incompatible API version with plugin\. Plugin version: (\d+)`)

// versions says what an author does about a version that is not spoken.
func versions(theirs string) string {
	n, _ := strconv.Atoi(theirs)
	cure := "it is too old: build it again with the SDK of this release"
	if n > handshake.Version {
		cure = "it is too new: install a newer feddi, or build it with the SDK of this release"
	}
	return fmt.Sprintf("the actuator speaks version %s of the protocol and this feddi versions %d to %d; %s", theirs, handshake.Oldest, handshake.Version, cure)
}
