// Package demo is the 60-second look at Penstock: simulated engines, a load with
// a story in it (a burst, an engine that dies and comes back), and a live table
// that says in plain words what is going on and where to look.
//
// It owns the engines, the load (load.go), the story (story.go) and the picture
// (frame.go, screen.go). The router is its caller's: it is seen through Router,
// so that nothing here imports the data plane. Run blocks until the demo is
// over; all but the loads happens on its caller's goroutine, and none is left.
package demo
