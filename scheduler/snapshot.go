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
	all     []*Instance // in order of arrival
	byModel map[string]*serving
	open    []*Instance // have not said what they serve: they may serve anything
	models  []Model     // sorted by ID
}

// serving are the instances of one model.
type serving struct {
	list    []*Instance
	windows []int // the context of the model at each, in tokens; 0: not said
	least   int   // the smallest of them that is said; 0: they are all alike, or not said
	adapter bool  // it is a LoRA adapter somewhere
}

// newSnapshot reads what each instance says that it serves.
func newSnapshot(all []*Instance) *snapshot {
	s := &snapshot{all: all, byModel: make(map[string]*serving)}
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
			if s.byModel[m.ID] == nil {
				s.byModel[m.ID] = new(serving)
			}
			s.byModel[m.ID].add(i, m.MaxLen)
			s.byModel[m.ID].adapter = s.byModel[m.ID].adapter || m.Parent != ""
		}
	}
	for _, m := range s.byModel {
		for _, i := range s.open {
			m.add(i, 0)
		}
		m.compare()
	}
	for _, m := range found {
		s.models = append(s.models, m)
	}
	slices.SortFunc(s.models, func(a, b Model) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

func (m *serving) add(i *Instance, window int) {
	if len(m.list) > 0 && m.list[len(m.list)-1] == i {
		return // it named the model twice
	}
	m.list, m.windows = append(m.list, i), append(m.windows, window)
}

// compare notes the smallest window, where there are several.
func (m *serving) compare() {
	least, most := 0, 0
	for _, w := range m.windows {
		if w > 0 && (least == 0 || w < least) {
			least = w
		}
		most = max(most, w)
	}
	if least != most {
		m.least = least
	}
}

// surelyTokens turns a guess of a prompt's tokens into a number that it hardly
// falls short of: 4 bytes make a token in English prose, 7 in the words that
// tokenizers know best.
func surelyTokens(guess int) int { return guess * 4 / 7 }

// fit leaves out the instances whose context the prompt is surely too long for.
// If it is too long for all, the largest may say so.
func (m *serving) fit(tokens int) []*Instance {
	tokens = surelyTokens(tokens)
	if m.least == 0 || tokens <= m.least {
		return m.list
	}
	largest := slices.Max(m.windows)
	var list []*Instance
	for n, i := range m.list {
		if w := m.windows[n]; w == 0 || w >= min(tokens, largest) {
			list = append(list, i)
		}
	}
	return list
}

// serving returns the instances that may serve a prompt of so many tokens with
// the model, and whether any is known to serve it.
func (s *snapshot) serving(model string, tokens int) (list []*Instance, known bool) {
	if model == "" {
		return s.all, true
	}
	if m, ok := s.byModel[model]; ok {
		return m.fit(tokens), true
	}
	return s.open, len(s.models) == 0
}

// isAdapter says whether the model is a LoRA adapter, which an engine loads when
// it is asked for.
func (s *snapshot) isAdapter(model string) bool {
	m := s.byModel[model]
	return m != nil && m.adapter
}
