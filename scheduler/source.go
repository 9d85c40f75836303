package scheduler

import (
	"fmt"
	"slices"
)

// source is who names instances, and its list as it was checked.
type source struct {
	name string
	list []InstanceConfig
}

// firstSource is the list that New is given.
const firstSource = "configuration"

// ranks are the sources that are stronger than others, the strongest first: what
// an operator wrote, before what an instance says of itself.
var ranks = []string{firstSource, "file", "dns", "registration"}

// rank is the place of a source; those of no rank come last, as they arrived.
func (o source) rank() int {
	if at := slices.Index(ranks, o.name); at >= 0 {
		return at
	}
	return len(ranks)
}

func (o source) names(url string) bool {
	return slices.ContainsFunc(o.list, func(c InstanceConfig) bool { return c.URL == url })
}

// union makes one list of all, one entry for each URL and each name. The caller
// holds fleet.mu.
func (s *Scheduler) union() (wanted []InstanceConfig) {
	urls, names, leftOut := make(map[string]bool), make(map[string]string), make(map[string]bool)
	for _, from := range s.fleet.sources {
		for _, c := range from.list {
			if urls[c.URL] {
				continue
			}
			if other, taken := names[c.Name]; taken {
				key := from.name + " " + c.Name + " " + c.URL
				if leftOut[key] = true; !s.fleet.leftOut[key] {
					s.log.Warn("instance is left out: another has its name", "instance", c.Name, "url", c.URL, "source", from.name, "other", other)
				}
				continue
			}
			urls[c.URL], names[c.Name] = true, c.URL
			wanted = append(wanted, c)
		}
	}
	s.fleet.leftOut = leftOut
	return wanted
}

// checkList says what is wrong with a list in itself.
func (s *Scheduler) checkList(list []InstanceConfig) error {
	names := make(map[string]string, len(list))
	for _, c := range list {
		if _, err := s.check(c); err != nil {
			return err
		}
		if other, taken := names[c.Name]; taken && other != c.URL {
			return fmt.Errorf("instance %s: %s has this name already", c.Name, other)
		}
		names[c.Name] = c.URL
	}
	return nil
}
