package dataplane

import "penstock/scheduler"

// blame is who is at fault when an instance breaks off a request before a byte
// and yet takes connections: the instance, if another answers the request; the
// request, if another does the same.
type blame struct {
	on     *scheduler.Instance // has broken it off, and nobody has answered it yet
	err    error
	poison bool // more than one has
}

// brokeOff notes that i broke it off. i is looked at at once.
func (b *blame) brokeOff(i *scheduler.Instance, err error) {
	i.Doubt(err.Error())
	b.poison = b.poison || b.on != nil
	b.on, b.err = i, err
}

// settle blames the instance, where it is to blame. A request that nobody could
// be asked to answer proves nothing for it.
func (b *blame) settle() {
	if b.on != nil && !b.poison {
		b.on.Failed(scheduler.Closed, b.err.Error())
	}
	*b = blame{}
}
