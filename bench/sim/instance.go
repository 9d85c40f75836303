package sim

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"penstock/bench/model"
)

// Instance is one simulated engine behind one port.
type Instance struct {
	fleet   *Fleet
	number  int
	config  Config
	profile model.Profile
	dialect *dialect
	log     *slog.Logger

	listener *listener
	server   http.Server
	conns    *conns
	routes   map[string]route
	over     sync.WaitGroup // the driver and the server
	stop     chan struct{}  // closed by Close
	closing  sync.Once

	injecting sync.Mutex // held while a fault is carried out, before any other lock

	clock  clock
	wake   chan struct{} // the driver's: something was submitted
	fault  faultBox
	frozen atomic.Pointer[model.Stats] // what a page shows that stands still
	meter  meter

	requests atomic.Int64 // for tokens or a vector, seen
	aborted  atomic.Int64 // of them, left by their client
	inFlight atomic.Int64 // of them, being served

	mu     sync.Mutex
	engine *model.Engine
	dice   *rand.Rand
}

func newInstance(f *Fleet, number int, c Config, l *listener, log *slog.Logger) (*Instance, error) {
	p, err := c.profile()
	if err != nil {
		return nil, err
	}
	engine, err := model.New(p)
	if err != nil {
		return nil, err
	}
	i := &Instance{
		fleet: f, number: number, config: c, profile: p, dialect: dialects[c.Engine],
		log:      log.With("instance", l.Addr().String()),
		listener: l, conns: newConns(c.IdleLeast, c.IdleTimeout), stop: make(chan struct{}),
		clock: clock{begin: time.Now(), scale: c.TimeScale}, wake: make(chan struct{}, 1), fault: newFaultBox(),
		meter: newMeter(dialects[c.Engine].bounds), engine: engine, dice: rand.New(rand.NewPCG(c.Seed, uint64(number))),
	}
	i.routes = i.table()
	i.server = http.Server{
		Handler: http.HandlerFunc(i.serve), ConnState: i.conns.changed, ConnContext: withConn,
		IdleTimeout: c.IdleTimeout, ReadHeaderTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(i.log.Handler(), slog.LevelDebug),
	}
	return i, nil
}

func (i *Instance) start() {
	i.over.Go(i.drive)
	i.over.Go(func() {
		if err := i.server.Serve(i.listener); err != http.ErrServerClosed {
			i.log.Error("simulated engine stopped accepting", "error", err)
		}
	})
}

// URL is where the instance listens.
func (i *Instance) URL() string { return "http://" + i.listener.Addr().String() }

// Close ends the instance as the end of a process would, and returns when none
// of its goroutines is left. It may be called twice, and on one that never
// started.
func (i *Instance) Close() error {
	err := i.die()
	i.listener.Close()
	i.over.Wait()
	i.conns.close() // what was accepted meanwhile
	return err
}

// die is Close without waiting, for a goroutine of the instance itself.
func (i *Instance) die() error {
	i.closing.Do(func() {
		close(i.stop)
		i.fault.close()
	})
	err := i.server.Close()
	i.conns.closeHijacked()
	return err
}

// submit hands a call to the model.
func (i *Instance) submit(c *call) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.clock.now()
	for n := range c.choices {
		s, err := i.engine.Submit(now, c.choices[n].request())
		if err != nil {
			for k := range n {
				i.engine.Abort(now, c.choices[k].sequence)
			}
			return err
		}
		c.choices[n].sequence = s
	}
	select {
	case i.wake <- struct{}{}:
	default: // it is awake, or about to be
	}
	return nil
}

// abandon takes from the model what it has not finished of a call, and reports
// whether there was anything.
func (i *Instance) abandon(c *call) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	now, unfinished := i.clock.now(), false
	for n := range c.choices {
		if i.engine.Abort(now, c.choices[n].sequence) {
			unfinished = true
			i.meter.ended(reasonAbort)
		}
	}
	return unfinished
}

// roll returns a number from 0 to 1, and 64 bits for an id.
func (i *Instance) roll() (float64, uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.dice.Float64(), i.dice.Uint64()
}
