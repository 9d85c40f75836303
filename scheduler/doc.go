// Package scheduler knows the instances, keeps account of what each has in
// flight, and decides which gets the next request.
//
// A decision is followed through these files:
//
//	query.go      what is asked, and what comes back
//	pick.go       the way of a decision: candidates, policy, reservation
//	snapshot.go   which instances serve which model, published whole
//	load.go       what an instance has to do, from its words and our account
//	full.go       when an instance takes no more
//	policy.go     the policies, pure functions over candidates
//	outlook.go    what the default one foresees; rumour.go: how much it believes
//	              of what it was told; crowd.go: who waits for room
//	health.go     which failures take an instance out, how it comes back
//	panic.go      what is different when most are out
//	record.go     what a decision leaves to look back on; replay.go: what others
//	              would have done
//
// and what it knows comes from these:
//
//	keeper.go     the one goroutine of an instance: scrape, probe, models
//	signal.go     what an instance says; judge.go: whether it is believed
//	progress.go   whether it works or hangs; prompts.go: how fast it prefills
//	ration.go     how much of it is logged
//	fleet.go      who belongs to it; source.go: who names them; drain.go: who
//	              gets nothing new; address.go: where they are
//
// Pick, Reservation and Instance.Failed may be called from any goroutine. Pick
// reads one published snapshot and atomics: no lock, no allocation, no clock but
// for the time of its record, no randomness of its own (both come with the
// query), no I/O. All I/O is the keepers', which Run starts and waits for.
//
// The package does not move a byte of a request, and never imports dataplane.
package scheduler
