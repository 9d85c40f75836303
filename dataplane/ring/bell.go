package ring

import "sync/atomic"

// What a Bell's consumer is doing.
const (
	awake  = iota
	rung   // awake, and has to look once more before it sleeps
	asleep // or about to be
)

// Bell wakes a consumer that sleeps, and costs producers one load where it does
// not have to. The consumer of rings looks like this:
//
//	for {
//		take everything that is there
//		if !bell.Sleep() { // rung since the last time
//			continue
//		}
//		if something is there { // pushed before Sleep, to be rung after it
//			bell.Wake()
//			continue
//		}
//		<-bell.C()
//	}
//
// and a producer pushes first and rings then. A push is either seen by the look
// after Sleep or its Ring sees the sleeper: both are sequentially consistent
// atomics. A wake-up can come without a cause, none is lost.
type Bell struct {
	state atomic.Uint32
	wake  chan struct{} // of one: more than one wake-up says nothing more
}

// Init makes the bell ready; call it before anything else.
func (b *Bell) Init() { b.wake = make(chan struct{}, 1) }

// Ring tells the consumer to look. Any goroutine may call it; it never blocks.
func (b *Bell) Ring() {
	for {
		switch b.state.Load() {
		case rung:
			return
		case awake:
			if b.state.CompareAndSwap(awake, rung) {
				return
			}
		case asleep:
			if b.state.CompareAndSwap(asleep, awake) {
				select {
				case b.wake <- struct{}{}:
				default:
				}
				return
			}
		}
	}
}

// Sleep announces that the consumer is about to wait for C. False: it was rung
// in the meantime and is awake. The consumer's alone, as is all that follows.
func (b *Bell) Sleep() bool {
	if b.state.Swap(asleep) != rung {
		return true
	}
	b.Wake()
	return false
}

// Wake takes Sleep back.
func (b *Bell) Wake() {
	// It fails where a Ring came first: that one's wake-up comes without a cause.
	b.state.CompareAndSwap(asleep, awake)
}

// C has a value once a Ring found the consumer asleep.
func (b *Bell) C() <-chan struct{} { return b.wake }
