package discovery

// Target is an instance that a source names.
type Target struct {
	URL         string // http://host:port
	Name        string // unique; default host:port
	APIKey      string
	Engine      string // empty: the default
	MaxInFlight int
	Models      []string // what it serves, until it says so itself
}

// Set takes the whole list of a source. Its error says what is wrong with the
// list, which is then not taken.
type Set func(list []Target) error
