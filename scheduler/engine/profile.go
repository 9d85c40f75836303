package engine

import (
	"cmp"
	"slices"
	"strings"
)

// profile is one row of the table: all that this package knows of an engine.
type profile struct {
	kind Kind
	// pages are where the metrics may be, the usual place first.
	pages  []string
	format format
	page   []source

	// loads is a JSON document that says the load better than the page does,
	// on engines new enough to have it.
	loads     string
	loadsFrom []source

	// about are where the engine says which version it is, the newest first.
	about     []string
	aboutFrom []source
	owner     string // owned_by in the list of models

	health   string // default /health
	models   string // default /v1/models
	generate string // a GET that makes the engine do a piece of work

	// steps says that its token counters rise with every step, and not only as
	// a request ends: that they stand still proves something.
	steps bool

	// unproven says that nobody has seen this engine's interface.
	unproven bool

	text   textIndex // of page
	mapped Signals   // what the operator's own sources are of
}

// format of a metrics page.
type format uint8

const (
	byContent format = iota // JSON begins with a brace or a bracket
	prometheus
	jsonDocument
)

// newProfile completes a row.
func newProfile(p profile) *profile {
	if len(p.pages) == 0 {
		p.pages = []string{defaultPage}
	}
	p.health = cmp.Or(p.health, defaultHealth)
	p.models = cmp.Or(p.models, defaultModels)
	for n := range p.page {
		s := &p.page[n]
		s.n = uint8(n)
		if s.own {
			p.mapped |= s.to.bit()
		}
	}
	p.text = newTextIndex(p.page)
	return &p
}

const (
	defaultPage   = "/metrics"
	defaultHealth = "/health"
	defaultModels = "/v1/models"
)

// profileOf returns nil for Auto and for a kind without a profile.
func profileOf(k Kind) *profile { return find(profiles, k) }

func find(table []*profile, k Kind) *profile {
	i := slices.IndexFunc(table, func(p *profile) bool { return p.kind == k })
	if i < 0 {
		return nil
	}
	return table[i]
}

// read adds what the page says to t. A JSON page that is none is ErrProtocol.
func (p *profile) read(page []byte, t *tally) error {
	if p.readsJSON(page) {
		return readJSON(page, p.page, t, nil)
	}
	p.text.read(page, t)
	return nil
}

func (p *profile) readsJSON(page []byte) bool {
	return p.format == jsonDocument || p.format == byContent && isJSON(page)
}

// mostNamed bounds how many sources one message names.
const mostNamed = 8

// named joins them, as far as a message bears.
func named(names []string) string {
	if len(names) > mostNamed {
		names = append(names[:mostNamed:mostNamed], "…")
	}
	return strings.Join(names, ", ")
}

// wants names what is looked for on the page, for an error.
func (p *profile) wants() (names []string) {
	for _, s := range p.page {
		if !slices.Contains(names, s.name) {
			names = append(names, s.name)
		}
	}
	return names
}

// lacks names what the operator mapped and no sample was found of: found has a
// bit for each source that spoke.
func (p *profile) lacks(found uint64) (names []string) {
	for n, s := range p.page {
		if s.own && found>>n&1 == 0 {
			names = append(names, fieldNames[s.to]+"="+s.name)
		}
	}
	return names
}
