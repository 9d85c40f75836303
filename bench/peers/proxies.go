package main

import (
	"fmt"
	"net/netip"
	"strings"

	"penstock/bench/loopback"
)

// allProxies are the programs that can be measured, in the order of the report.
func allProxies(floor, penstock string) []proxy {
	return []proxy{
		{name: direct},
		{name: "haproxy", binary: "haproxy", arguments: haproxy},
		{name: "nginx", binary: "nginx", arguments: nginx},
		{name: "floor", binary: floor, arguments: fasthttpFloor},
		{name: "no-kernel", binary: penstock, arguments: withoutKernel},
		{name: "penstock", binary: penstock, arguments: penstockServe},
	}
}

func fasthttpFloor(_ string, listen netip.AddrPort, engines []netip.AddrPort) ([]string, error) {
	return []string{"-listen", listen.String(), "-engines", join(engines, ",", "%v")}, nil
}

// haproxy at its best for this job: one thread for its one core, events sent
// when they come (http-no-delay), every idle connection open to every request.
func haproxy(dir string, listen netip.AddrPort, engines []netip.AddrPort) ([]string, error) {
	var servers strings.Builder
	for i, addr := range engines {
		fmt.Fprintf(&servers, "  server engine%d %v\n", i, addr)
	}
	path, err := writeConfig(dir, "haproxy.cfg", fmt.Sprintf(`global
  nbthread 1
  maxconn 9000
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend clients
  bind %v
  default_backend engines
backend engines
  balance roundrobin
%s`, listen, &servers))
	return []string{"-db", "-f", path}, err
}

// nginx at its best for this job: bodies stay in memory, answers are not
// gathered, connections to the engines are kept.
func nginx(dir string, listen netip.AddrPort, engines []netip.AddrPort) ([]string, error) {
	path, err := writeConfig(dir, "nginx.conf", fmt.Sprintf(`daemon off;
master_process off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 9000; }
http {
  access_log off;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 512k;
  keepalive_requests 100000000;
  tcp_nodelay on;
  upstream engines {
%[3]s    keepalive 512;
    keepalive_requests 100000000;
  }
  server {
    listen %[2]v backlog=4096;
    location / {
      proxy_pass http://engines;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`, dir, listen, join(engines, "", "    server %v;\n")))
	return []string{"-c", path, "-e", "stderr"}, err
}

// penstockServe has everything on that it does by default, the scrapes of the
// engines too. max_in_flight is stated because the engines here never say how
// much they can run.
func penstockServe(dir string, listen netip.AddrPort, engines []netip.AddrPort) ([]string, error) {
	admin, err := loopback.Free(1)
	if err != nil {
		return nil, err
	}
	path, err := writeConfig(dir, "penstock.yaml", fmt.Sprintf(`listen: %v
admin: %v
instances:
%s`, listen, admin[0], join(engines, "", "  - {url: \"http://%v\", max_in_flight: 100000}\n")))
	return []string{"serve", "-c", path, "--log-level", "warn"}, err
}

// withoutKernel is Penstock with no program in the kernel, to see what they cost.
func withoutKernel(dir string, listen netip.AddrPort, engines []netip.AddrPort) ([]string, error) {
	args, err := penstockServe(dir, listen, engines)
	return append(args, "--kernel", "off"), err
}

func join(addrs []netip.AddrPort, separator, format string) string {
	parts := make([]string, len(addrs))
	for i, addr := range addrs {
		parts[i] = fmt.Sprintf(format, addr)
	}
	return strings.Join(parts, separator)
}
