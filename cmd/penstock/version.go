package main

import (
	"fmt"
	"io"
	"runtime"

	"penstock/dataplane/admin"
)

type versionCmd struct{}

func (versionCmd) Run(out io.Writer) error {
	fmt.Fprintf(out, "penstock %s\ngo       %s %s/%s\nkernel   off (comes with the kernel part)\n",
		admin.Build{Version: version, Commit: commit}, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
