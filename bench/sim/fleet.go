package sim

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Fleet is some simulated engines in this process.
type Fleet struct{ instances []*Instance }

// Start makes all instances listen and serve. Its caller calls Close.
func Start(c Config, log *slog.Logger) (*Fleet, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	f := &Fleet{}
	for n := range c.Instances {
		l, err := c.listen(n)
		if err == nil {
			var i *Instance
			if i, err = newInstance(f, n, c, l, log); err == nil {
				f.instances = append(f.instances, i)
				continue
			}
			l.Close()
		}
		f.Close()
		return nil, err
	}
	for _, i := range f.instances {
		i.start()
	}
	return f, nil
}

// listen opens the n-th instance's port.
func (c *Config) listen(n int) (*listener, error) {
	host, port, err := c.address()
	if err != nil {
		return nil, err
	}
	var l *listener
	if port > 0 {
		l, err = listen(host, port+n)
	} else {
		l, err = listenAnywhere(host)
	}
	if err != nil {
		return nil, fmt.Errorf("instance %d: %w", n, err)
	}
	return l, nil
}

// Instances are the engines, in the order of their ports. The slice is not to
// be changed.
func (f *Fleet) Instances() []*Instance { return f.instances }

// URLs are where the instances listen.
func (f *Fleet) URLs() []string {
	urls := make([]string, len(f.instances))
	for n, i := range f.instances {
		urls[n] = i.URL()
	}
	return urls
}

// Close ends all instances and their connections, and returns when no goroutine
// of theirs is left.
func (f *Fleet) Close() error {
	errs := make([]error, len(f.instances))
	var wg sync.WaitGroup
	for n, i := range f.instances {
		wg.Go(func() { errs[n] = i.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// at finds an instance by its number.
func (f *Fleet) at(n int) (*Instance, error) {
	if n < 0 || n >= len(f.instances) {
		return nil, fmt.Errorf("instance %d: there are %d, counted from 0", n, len(f.instances))
	}
	return f.instances[n], nil
}
