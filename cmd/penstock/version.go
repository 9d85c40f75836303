package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"penstock/bpf"
	"penstock/dataplane/admin"
)

type versionCmd struct{}

func (versionCmd) Run(out io.Writer) error {
	mode, why := bpf.Probe()
	fmt.Fprintf(out, "penstock %s\ngo       %s %s/%s\nkernel   %s\n",
		admin.Build{Version: version, Commit: commit}, runtime.Version(), runtime.GOOS, runtime.GOARCH, mode)
	for line := range strings.SplitSeq(why, "; ") {
		if line != "" {
			fmt.Fprintf(out, "         not %s\n", line)
		}
	}
	return nil
}
