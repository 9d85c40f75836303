package scheduler

import (
	"cmp"
	"slices"
)

// Model is one that at least one instance serves.
type Model struct {
	ID     string
	Parent string // the base model of a LoRA adapter
	MaxLen int    // context in tokens: the largest that an instance offers; 0: not said
}

// snapshot is who there is and what they serve. It is never changed once it is
// published: a decision reads one of them from beginning to end.
type snapshot struct {
	all     []*Instance // by ID
	byModel map[string][]*Instance
	open    []*Instance // have not said what they serve: they may serve anything
	models  []Model     // sorted by ID
}

// newSnapshot reads what each instance says that it serves.
func newSnapshot(all []*Instance) *snapshot {
	s := &snapshot{all: all, byModel: make(map[string][]*Instance)}
	found := make(map[string]Model)
	for _, i := range all {
		served := i.models.Load()
		if served == nil {
			s.open = append(s.open, i)
			continue
		}
		for _, m := range *served {
			known := found[m.ID]
			found[m.ID] = Model{ID: m.ID, Parent: cmp.Or(known.Parent, m.Parent), MaxLen: max(known.MaxLen, m.MaxLen)}
			if !slices.Contains(s.byModel[m.ID], i) {
				s.byModel[m.ID] = append(s.byModel[m.ID], i)
			}
		}
	}
	for id, serving := range s.byModel {
		s.byModel[id] = append(serving, s.open...)
	}
	for _, m := range found {
		s.models = append(s.models, m)
	}
	slices.SortFunc(s.models, func(a, b Model) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

// serving returns the instances that may serve the model, and whether any is
// known to.
func (s *snapshot) serving(model string) (list []*Instance, known bool) {
	if model == "" {
		return s.all, true
	}
	if list, known = s.byModel[model]; known {
		return list, true
	}
	return s.open, len(s.models) == 0
}
