package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"penstock/scheduler"
)

func TestFlagsAreStrongerThanTheFile(t *testing.T) {
	c := mustRead(t, `
listen: 127.0.0.1:1
admin: 127.0.0.1:2
engine: vllm
instances: [{url: "http://file:1"}]
policy: random
kernel: {mode: auto}
log: {level: error, format: text}
drain_timeout: 1s
queue: {max_size: 7}
`, Flags{
		Listen: []string{":3", "unix:/run/x.sock"}, Admin: ":4", Instances: []string{"http://flag:1", "http://flag:2"},
		Engine: "sglang", Policy: "p2c", Kernel: "off", LogLevel: "warn", LogFormat: "json", DrainTimeout: "2s",
	})
	f := func(name string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	f("listen", len(c.Gateway.Listen), 2)
	f("listen", c.Gateway.Listen[0], ":3")
	f("admin", c.Admin, ":4")
	f("instances", len(c.Scheduler.Instances), 2)
	f("instances", c.Scheduler.Instances[1].URL, "http://flag:2")
	f("engine", string(c.Scheduler.Engine), "sglang")
	f("policy", c.Scheduler.Policy, "p2c")
	f("kernel", c.Kernel.Mode, "off")
	f("level", c.Log.Level, slog.LevelWarn)
	f("format", c.Log.Format, "json")
	f("drain", c.Gateway.DrainTimeout, 2*time.Second)
	f("queue, from the file", c.Gateway.Queue.MaxSize, 7)
}

func TestErrorsOfFlags(t *testing.T) {
	f := func(flags Flags, want string) {
		t.Helper()
		_, err := read(one, flags)
		refused(t, err, want)
	}
	f(Flags{Listen: []string{"8080"}}, `--listen: "8080": need host:port, such as 127.0.0.1:8080`)
	f(Flags{Admin: "x"}, `--admin: "x": need host:port, such as 127.0.0.1:8081`)
	f(Flags{Admin: "8082"}, `--admin: "8082": need host:port, such as 127.0.0.1:8082`)
	f(Flags{Listen: []string{":80", "unix:/a", ":80"}}, `--listen: :80 stands twice`)
	f(Flags{Listen: []string{"127.0.0.1:8081"}}, `--listen: 127.0.0.1:8081 is the admin port's address: choose another, or another with admin`)
	f(Flags{Admin: "127.0.0.1:8080"}, `--admin: 127.0.0.1:8080 is the data port's address: the admin port needs one of its own`)
	f(Flags{Engine: "vlm"}, `--engine: "vlm" is none of: auto, vllm, sglang, lmdeploy, tgi, trtllm, triton, llamacpp, bladellm (did you mean "vllm"?)`)
	f(Flags{Policy: "pd-split"}, `--policy: pd-split is not there yet (there is: `+strings.Join(scheduler.Policies(), ", ")+`)`)
	f(Flags{Kernel: "sockop"}, `--kernel: "sockop" is none of: auto, sockops, tracepoints, tcp_info, off (did you mean "sockops"?)`)
	f(Flags{LogLevel: "loud"}, `--log-level: "loud" is none of: debug, info, warn, error`)
	f(Flags{LogFormat: "xml"}, `--log-format: "xml" is none of: text, json`)
	f(Flags{DrainTimeout: "-1s"}, `--drain-timeout: -1s is negative`)
	f(Flags{DrainTimeout: "5"}, `--drain-timeout: "5" is no duration: write one such as 10s or 500ms`)
	f(Flags{Instances: []string{"10.0.0.1:8000"}}, `--instance: "10.0.0.1:8000": write http://10.0.0.1:8000`)
	f(Flags{Instances: []string{"[::1]:8000"}}, `--instance: "[::1]:8000": write http://[::1]:8000`)
	f(Flags{Instances: []string{"localhost:8000"}}, `--instance: "localhost:8000": write http://localhost:8000`)
	f(Flags{Instances: []string{"me:secret@a"}}, `--instance: "me:secret@a": need a URL such as http://10.0.0.11:8000`)
	f(Flags{Instances: []string{""}}, `--instance: url is missing`)
	f(Flags{Instances: []string{"http://a:1", "http://a:1/"}}, `--instance: http://a:1 stands twice`)
	f(Flags{Instances: []string{"http://a:99999"}}, `--instance: "http://a:99999": the port must be a number from 1 to 65535`)
}
