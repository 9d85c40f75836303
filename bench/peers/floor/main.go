// Command floor is a proxy that knows nothing: fasthttp's server and client,
// round robin over the engines, answers streamed. What it costs is the floor
// that a router in Go has without engines of its own for reading and streaming.
package main

import (
	"flag"
	"log"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	engines := flag.String("engines", "", "addresses of the engines, comma-separated")
	flag.Parse()

	clients := dial(strings.Split(*engines, ","))
	var turn atomic.Uint32
	server := &fasthttp.Server{
		MaxRequestBodySize:    64 << 20,
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			client := clients[int(turn.Add(1))%len(clients)]
			ctx.Request.Header.Del(fasthttp.HeaderConnection)
			if err := client.Do(&ctx.Request, &ctx.Response); err != nil {
				ctx.Error(err.Error(), fasthttp.StatusBadGateway)
			}
		},
	}
	log.Fatal(server.ListenAndServe(*listen))
}

func dial(addrs []string) []*fasthttp.HostClient {
	clients := make([]*fasthttp.HostClient, len(addrs))
	for i, addr := range addrs {
		clients[i] = &fasthttp.HostClient{
			Addr:                   addr,
			MaxConns:               1 << 16,
			MaxIdleConnDuration:    time.Minute,
			StreamResponseBody:     true,
			DisablePathNormalizing: true,
		}
	}
	return clients
}
