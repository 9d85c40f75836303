package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"penstock/bench/fleet"
	"penstock/bench/loopback"
	"penstock/bench/workload"
)

// rig is the engines and the router before them, two processes.
type rig struct {
	url       string // of the router
	dir       string
	processes []*exec.Cmd
	said      bytes.Buffer // by the router; to be read after its end
}

// modelName is what all engines serve; nothing else in an answer is called so.
const modelName = "simulated-model"

// patience is how long a process may take until it answers.
const patience = 10 * time.Second

func start(ctx context.Context, penstock string, w *workload.Workload, policy string, scale float64) (r *rig, err error) {
	r = new(rig)
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	if r.dir, err = os.MkdirTemp("", "policies"); err != nil {
		return nil, err
	}
	engines, err := r.engines(ctx, penstock, w, scale)
	if err != nil {
		return nil, err
	}
	return r, r.router(ctx, penstock, policy, scale, engines)
}

// engines starts those that the workload was made for, each kind of GPU in a
// process, and returns where they listen.
func (r *rig) engines(ctx context.Context, penstock string, w *workload.Workload, scale float64) (urls []string, err error) {
	if len(w.Profiles) != 1 {
		return nil, fmt.Errorf("%s has engines of %d kinds, want one", w.Name, len(w.Profiles))
	}
	ports, err := loopback.Free(w.Instances)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, penstock, "sim", "--listen", ports[0].String(), "--model", modelName, "--instances", strconv.Itoa(w.Instances),
		"--profile", w.Profiles[0], "--time-scale", fmt.Sprint(scale))
	if err := r.begin(cmd); err != nil {
		return nil, err
	}
	for _, at := range ports {
		urls = append(urls, "http://"+at.String())
	}
	return urls, await(ctx, urls[len(urls)-1]+"/v1/models", 1)
}

// router starts `penstock serve`, with what `penstock fleet` has: a line without
// an end, and metrics as often in the engines' time.
func (r *rig) router(ctx context.Context, penstock, policy string, scale float64, engines []string) error {
	ports, err := loopback.Free(2)
	if err != nil {
		return err
	}
	cfg := fleet.DefaultConfig()
	text := fmt.Sprintf("listen: %s\nadmin: %s\npolicy: %s\nqueue: {max_size: %d}\nscrape: {every: %v}\ninstances:\n",
		ports[0], ports[1], policy, cfg.Queue, time.Duration(float64(cfg.ScrapeEvery)/scale))
	for _, url := range engines {
		text += "  - url: " + url + "\n"
	}
	file := filepath.Join(r.dir, "penstock.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, penstock, "serve", "-c", file)
	cmd.Stderr = &r.said
	if err := r.begin(cmd); err != nil {
		return err
	}
	r.url = "http://" + ports[0].String()
	if err := await(ctx, "http://"+ports[1].String()+"/api/v1/instances", len(engines)); err != nil {
		r.stop()
		return fmt.Errorf("%w; it said: %s", err, strings.TrimSpace(r.said.String()))
	}
	return nil
}

func (r *rig) begin(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	r.processes = append(r.processes, cmd)
	return nil
}

// stop ends all, and may be called twice.
func (r *rig) stop() {
	for _, p := range r.processes {
		_ = p.Process.Kill() // what it would say of its end is of no interest
		_ = p.Wait()
	}
	r.processes = nil
	os.RemoveAll(r.dir)
}

// await returns when url names the model so many times: it is known of all.
func await(ctx context.Context, url string, times int) error {
	ctx, stop := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s did not name %s %d times", url, modelName, times))
	defer stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := http.Get(url); err == nil {
			body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
			resp.Body.Close()
			if err == nil && bytes.Count(body, []byte(strconv.Quote(modelName))) >= times {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
