package main

import (
	"fmt"
	"io"
	"runtime"
)

type versionCmd struct{}

func (versionCmd) Run(out io.Writer) error {
	fmt.Fprintf(out, "penstock %s\ncommit   %s\ngo       %s %s/%s\nkernel   off (comes with the kernel part)\n",
		version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
