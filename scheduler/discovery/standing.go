package discovery

import (
	"sync"
	"time"
)

// sayAgain is how often a failure that lasts is logged.
const sayAgain = time.Minute

// Status is how a source stands, for the API and the metrics.
type Status struct {
	Source    string    // "file", "dns" or "registration", as the scheduler knows it
	From      string    // the file's path, the name in DNS; "" of registration
	Up        bool      // it was read, and nothing was wrong with it the last time
	Instances int       // of the list in force
	Errors    uint64    // times that it could not be read, or was wrong
	Error     string    // what is wrong with it; "": nothing
	Since     time.Time // when it began to fail; zero: it does not
}

// standing is how a source stands. Any goroutine may use it.
type standing struct {
	mu     sync.Mutex
	status Status
	saidAt time.Time // when the failure was last logged
}

// show is the status, with the source's names.
func (s *standing) show(source, from string) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	shown := s.status
	shown.Source, shown.From = source, from
	return shown
}

// well notes that the source was read, and how many instances it names. It says
// whether that could not be done before.
func (s *standing) well(instances int) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	again = s.status.Error != ""
	s.status.Up, s.status.Instances = true, instances
	s.status.Error, s.status.Since = "", time.Time{}
	return again
}

// failed notes a failure, and says whether to log it: another than the last one
// at once, one that lasts every sayAgain; with how long it has lasted.
func (s *standing) failed(message string, now time.Time) (say bool, lasted time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Up = false
	s.status.Errors++
	if s.status.Since.IsZero() {
		s.status.Since = now
	}
	say = message != s.status.Error || now.Sub(s.saidAt) >= sayAgain
	if s.status.Error = message; say {
		s.saidAt = now
	}
	return say, now.Sub(s.status.Since).Round(time.Second)
}
