package scheduler

// panicFactor is how much more it takes to speak against an instance in a
// panic.
const panicFactor = 4

// panicking says that more than half of the fleet is out. Then it is rather the
// judgement that is wrong (a health path that an upgrade took away, a network
// that loses packets) than all of them: it takes more to be taken out, and
// those that were for something milder than a refused connection still get what
// nobody else can take.
func (f *fleet) panicking() bool { return f.out.Load()*2 > f.size.Load() }

// lastResort says whether an instance that is out may be tried where no other
// is left.
func (i *Instance) lastResort() bool {
	if State(i.health.state.Load()) != Ejected || i.draining.Load() != 0 || !i.fleet.panicking() {
		return false
	}
	switch f := Failure(i.health.why.Load()); f {
	case Hung:
		return false // it would keep the request
	default:
		return !f.fatal()
	}
}
