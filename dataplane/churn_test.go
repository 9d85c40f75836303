package dataplane

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"penstock/scheduler"
)

// register is what each request was answered by, by its number.
type register struct {
	mu    sync.Mutex
	asked map[string]int
}

// answer is an engine's: it tells the request's own number.
func (g *register) answer(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Prompt string
		Stream bool
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		panic(err)
	}
	g.mu.Lock()
	g.asked[q.Prompt]++
	g.mu.Unlock()
	if q.Stream {
		sse(w)
		event(w, q.Prompt)
		event(w, "[DONE]")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"n":%q}`, q.Prompt)
}

// changes makes fleets by chance: never empty, with some instances that are
// soon full, and some whose options change, which makes them others.
type changes struct {
	mu    sync.Mutex
	r     *rig
	urls  []string
	dice  *rand.Rand
	made  map[*scheduler.Instance]bool
	times int
}

func (c *changes) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []scheduler.InstanceConfig
	for n, i := range instances(c.urls...) {
		if c.dice.IntN(2) == 0 || n == c.times%len(c.urls) {
			i.MaxInFlight = []int{0, 1, 64}[c.dice.IntN(3)]
			list = append(list, i)
		}
	}
	c.set(list)
	c.times++
}

func (c *changes) set(list []scheduler.InstanceConfig) {
	if err := c.r.sched.Set("file", list); err != nil {
		c.r.t.Error(err)
	}
	for _, i := range c.r.sched.Instances() {
		c.made[i] = true
	}
}

func TestFleetThatChangesUnderLoadFailsNoRequest(t *testing.T) {
	const clients, each, urls, changeEvery = 8, 400, 5, 8
	idle := start(t, instances(newEngine(t, ok).url), nil)
	idle.do(ask) // whatever is made once is made now
	idle.stop()
	idle.wait(idle.ended, "the end")
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)

	t.Run("life", func(t *testing.T) {
		book := &register{asked: make(map[string]int)}
		r := start(t, nil, func(_ *Config, s *scheduler.Config) { s.Scrape.Timeout = patience })
		gone := r.counted()
		c := &changes{r: r, dice: rand.New(rand.NewPCG(1, 2)), made: make(map[*scheduler.Instance]bool)}
		for range urls {
			c.urls = append(c.urls, newEngine(t, book.answer).url)
		}
		c.next()

		var all sync.WaitGroup
		var done atomic.Int64
		for n := range clients {
			all.Go(func() {
				p := r.dial()
				defer p.Close()
				for k := range each {
					id := strconv.Itoa(n*each + k)
					want := `{"n":"` + id + `"}`
					if k%2 == 0 {
						want = "data: " + id + "\n\ndata: [DONE]\n\n"
					}
					p.post(fmt.Sprintf(`{"model":"m","prompt":%q,"stream":%v}`, id, k%2 == 0))
					resp, err := http.ReadResponse(p.r, nil)
					if err != nil {
						t.Errorf("request %s: %v", id, err)
						return
					}
					if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(b) != want {
						t.Errorf("request %s: %d %q, %v", id, resp.StatusCode, b, err)
					}
					if done.Add(1)%changeEvery == 0 {
						c.next()
					}
				}
			})
		}
		all.Wait()
		for id, n := range book.asked {
			if n != 1 && id != "ping" {
				t.Errorf("request %s came to the engines %d times", id, n)
			}
		}
		if len(book.asked) < clients*each {
			t.Errorf("the engines had %d requests, want %d", len(book.asked), clients*each)
		}
		r.until("the requests to be counted", func() bool {
			return r.metric(`penstock_requests_total{route="/v1/completions",code="200",key=""}`) == clients*each
		})
		if s := r.g.Stats(); s.Requests != clients*each || s.Errors+s.Retries+s.Aborts != 0 {
			t.Errorf("%d requests, %d errors, %d retries, %d aborts", s.Requests, s.Errors, s.Retries, s.Aborts)
		}

		c.set(instances(c.urls[0]))
		last := r.sched.Named("a")
		t.Logf("%d changes made %d instances", c.times, len(c.made))
		for i := range c.made {
			if i != last {
				r.until(i.URL+" to be gone", func() bool { return gone.of(i) > 0 })
			}
		}
		for i := range c.made {
			if n := gone.of(i); n > 1 || i == last && n != 0 {
				t.Errorf("%s was said to be gone %d times", i.Name, n)
			}
			if i != last && r.g.stations.look(i).ring != nil {
				t.Errorf("%s still has a station", i.Name)
			}
		}
		if n := len(r.g.stations.all()); n > 2 || len(r.sched.Instances()) != 1 {
			t.Errorf("%d stations of %d instances are left", n, len(r.sched.Instances()))
		}
		for _, st := range r.g.stations.all() {
			if n := st.pending.Load(); n != 0 {
				t.Errorf("%d wait at a station, and nobody is there", n)
			}
		}
	})
	idle.until("the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	idle.until("the descriptors to be closed", func() bool { return descriptors(t) <= fds })
}
