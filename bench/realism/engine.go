package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"penstock/bench/loopback"
	"penstock/bench/model"
)

// served is what all engines call their model.
const served = "tiny"

// sizes of each engine: small enough that loads fill its cache.
var sizes = model.Profile{
	Name: "fitted", BlockSize: 128, KVBlocks: 512, MaxNumSeqs: 128, MaxBatchedTokens: 2048, MaxModelLen: 16384,
}

// engine is `vllm serve`, and its processes.
type engine struct {
	name, url string
	cmd       *exec.Cmd
	log       string
}

// loading is how long an engine may take until it answers.
const loading = 4 * time.Minute

// startEngine begins one; ready says when it answers. It answers with its own
// name, which tells two of them apart.
func startEngine(ctx context.Context, vllm, modelDir, dir string, n int) (*engine, error) {
	at, err := loopback.Free(1)
	if err != nil {
		return nil, err
	}
	e := &engine{name: served + "-" + strconv.Itoa(n), url: "http://" + at[0].String()}
	e.log = filepath.Join(dir, e.name+".log")
	log, err := os.Create(e.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	number := strconv.Itoa
	e.cmd = exec.CommandContext(ctx, vllm, "serve", modelDir, "--served-model-name", e.name, served, "--host", "127.0.0.1", "--port", number(int(at[0].Port())),
		"--load-format", "dummy", "--enforce-eager", "--dtype", "float32", "--disable-uvicorn-access-log", "--enable-prompt-tokens-details",
		"--enable-prefix-caching", "--max-model-len", number(sizes.MaxModelLen), "--num-gpu-blocks-override", number(sizes.KVBlocks),
		"--max-num-seqs", number(sizes.MaxNumSeqs), "--max-num-batched-tokens", number(sizes.MaxBatchedTokens))
	e.cmd.Env = append(os.Environ(), "VLLM_CPU_KVCACHE_SPACE=1", "OMP_NUM_THREADS=1", "VLLM_CPU_OMP_THREADS_BIND=nobind", "HF_HUB_OFFLINE=1", "VLLM_NO_USAGE_STATS=1", "PYTHONPATH=")
	e.cmd.Stdout, e.cmd.Stderr = log, log
	// Its core is a process of its own, which has to go too.
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	e.cmd.Cancel = func() error { return syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL) }
	return e, e.cmd.Start()
}

func (e *engine) stop() {
	_ = e.cmd.Cancel() // it may have ended
	_ = e.cmd.Wait()
}

// ready waits until it answers, and looks whether it is the size that it should.
func (e *engine) ready(ctx context.Context) error {
	ctx, stop := context.WithTimeoutCause(ctx, loading, fmt.Errorf("%s did not answer within %v; see %s", e.name, loading, e.log))
	defer stop()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if page, err := get(e.url + "/metrics"); err == nil {
			return e.check(page)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (e *engine) check(metrics []byte) error {
	for name, want := range map[string]int{"block_size": sizes.BlockSize, "num_gpu_blocks": sizes.KVBlocks} {
		found := regexp.MustCompile(`vllm:cache_config_info\{.*[{,]` + name + `="(\d+)"`).FindSubmatch(metrics)
		if found == nil || string(found[1]) != strconv.Itoa(want) {
			return fmt.Errorf("%s: its cache_config_info has no %s=%d", e.name, name, want)
		}
	}
	return nil
}

// tokenize has the engine take a prompt apart, so that the model knows which
// blocks are the same.
func (e *engine) tokenize(ctx context.Context, a *ask) error {
	body, err := json.Marshal(map[string]any{"model": served, "messages": a.Messages, "add_generation_prompt": true})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", e.url+"/tokenize", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var got struct{ Tokens []uint32 }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return fmt.Errorf("tokenize: %w", err)
	}
	if a.Tokens = got.Tokens; len(a.Tokens) == 0 {
		return fmt.Errorf("tokenize: no tokens, status %d", resp.StatusCode)
	}
	return nil
}

func get(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 64<<20))
}
