package main

import (
	"fmt"
	"os"
	"path/filepath"

	"penstock/bench/workload"
)

// traced is the workload that a file has recorded.
func traced(path string) (*workload.Workload, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer file.Close()
	return workload.FromTrace(filepath.Base(path), file)
}
