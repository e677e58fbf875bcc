// Package report says what was measured: on which machine, at whose expense,
// as a table of 80 columns, and as a plot.
package report

import (
	"bufio"
	"os"
	"runtime"
	"strings"
)

// Machine is what a figure depends on beside the program.
type Machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Go    string `json:"go"`
}

// ThisMachine describes where the program runs.
func ThisMachine() Machine {
	return Machine{CPU: model(), Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
}

// model is the processor's name, where the system tells it in Linux' way.
func model() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer func() { _ = f.Close() }() // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
