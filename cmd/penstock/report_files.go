package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// reportFiles are where a report goes. They are open before the run: hours of it
// shall not be lost to a path that cannot be written.
type reportFiles struct {
	json, html io.Writer // nil: not wanted
	files      []*os.File
}

// openReports takes the values of --json, where - is standard output, and --html.
func openReports(out io.Writer, json, html string) (*reportFiles, error) {
	r := new(reportFiles)
	var err error
	if r.json, err = r.open("json", json, out); err == nil {
		r.html, err = r.open("html", html, nil)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// open leaves what is in the file until there is something else to write.
func (r *reportFiles) open(flag, path string, standard io.Writer) (io.Writer, error) {
	switch {
	case path == "":
		return nil, nil
	case path == "-" && standard != nil:
		return standard, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, usage(fmt.Errorf("--%s: %w", flag, err))
	}
	r.files = append(r.files, f)
	return overwriter{f}, nil
}

// write writes what is wanted. The page comes last and takes nothing with it.
func (r *reportFiles) write(report any, page func() ([]byte, error)) error {
	return cmp.Or(r.writeJSON(report), r.writePage(page), r.close())
}

func (r *reportFiles) writeJSON(report any) error {
	if r.json == nil {
		return nil
	}
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	_, err = r.json.Write(append(b, '\n'))
	return err
}

func (r *reportFiles) writePage(page func() ([]byte, error)) error {
	if r.html == nil {
		return nil
	}
	b, err := page()
	if err != nil {
		return err
	}
	_, err = r.html.Write(b)
	return err
}

// close does nothing a second time.
func (r *reportFiles) close() error {
	var err error
	for _, f := range r.files {
		err = cmp.Or(err, f.Close())
	}
	r.files = nil
	return err
}

// overwriter puts what is written in the place of what a file held.
type overwriter struct{ *os.File }

func (f overwriter) Write(b []byte) (int, error) {
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() { // a pipe holds nothing
		if err := f.Truncate(0); err != nil {
			return 0, err
		}
	}
	return f.File.Write(b)
}
