package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"penstock/bench/loopback"
	"penstock/scheduler/record"
)

// router is `penstock serve` as it is by default.
type router struct {
	url, admin string
	cmd        *exec.Cmd
	log        string
}

func startRouter(ctx context.Context, penstock, dir string, engines []*engine) (*router, error) {
	ports, err := loopback.Free(2)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("listen: %s\nadmin: %s\ninstances:\n", ports[0], ports[1])
	for _, e := range engines {
		text += fmt.Sprintf("  - {url: %q, name: %s}\n", e.url, e.name)
	}
	file := filepath.Join(dir, "penstock.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r := &router{url: "http://" + ports[0].String(), admin: "http://" + ports[1].String(), log: filepath.Join(dir, "penstock.log")}
	log, err := os.Create(r.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	r.cmd = exec.CommandContext(ctx, penstock, "serve", "-c", file)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	if err := r.ready(ctx, len(engines)); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *router) stop() {
	_ = r.cmd.Process.Kill() // what it would say of its end is of no interest
	_ = r.cmd.Wait()
}

// ready waits until it knows all engines.
func (r *router) ready(ctx context.Context, engines int) error {
	ctx, stop := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("the router did not find its engines healthy"))
	defer stop()
	for {
		if r.knows(engines) {
			return nil
		}
		if !sleepUntil(ctx, time.Now().Add(100*time.Millisecond)) {
			said, _ := os.ReadFile(r.log)
			return fmt.Errorf("%w; it said: %s", context.Cause(ctx), said[:min(len(said), 2000)])
		}
	}
}

// knows says whether so many engines are in, and have told the size of their caches.
func (r *router) knows(engines int) bool {
	var told struct {
		Instances []struct {
			State    string
			KVTokens int `json:"kv_capacity_tokens"`
		}
	}
	page, err := get(r.admin + "/api/v1/instances")
	if err != nil || json.Unmarshal(page, &told) != nil {
		return false
	}
	for _, i := range told.Instances {
		if i.State == "healthy" && i.KVTokens > 0 {
			engines--
		}
	}
	return engines == 0
}

// decisions are the latest, as many as it tells.
func (r *router) decisions() ([]record.Decision, error) {
	page, err := get(r.admin + "/api/v1/decisions?n=1000")
	if err != nil {
		return nil, err
	}
	var told struct{ Decisions []record.Decision }
	return told.Decisions, json.Unmarshal(page, &told)
}
