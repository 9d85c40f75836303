package demo

// Router is the router in front of the engines, as the demo sees it.
type Router struct {
	URL, Admin string // http://host:port
	Look       func() Board
}

// Board is how things stand at one moment. Totals count from the start.
type Board struct {
	Engines []Engine

	Requests, Retries uint64
	OutputTokens      uint64
	Inside, Pending   int64   // requests in the router, and of them held
	TTFTP50, TTFTP99  float64 // seconds, over the last minute
}

// Engine is one engine as the router knows it.
type Engine struct {
	Name, State      string
	Running, Waiting int
	KVUsage          float64 // 0..1
	InFlight         int
	Requests         uint64
}
