package dataplane

import (
	"fmt"
	"strconv"

	"penstock/dataplane/http1"
)

// MostPriority bounds a priority on either side of 0.
const MostPriority = 1000

// prioritize finds the request's priority: its key's, or less where the client
// says so. It cannot give itself more.
func (q *request) prioritize() *refusal {
	if q.key != nil {
		q.priority = q.key.Priority
	}
	said := q.head.Get(http1.XPenstockPriority)
	if said == nil {
		return nil
	}
	n, err := strconv.Atoi(borrow(said))
	if err != nil || n < -MostPriority || n > MostPriority {
		// To ignore it would let a batch go first because of a slip.
		return badRequest("", fmt.Sprintf("X-Penstock-Priority is %q: need a whole number from %d to %d", clip(said), -MostPriority, MostPriority))
	}
	q.priority = min(q.priority, n)
	return nil
}
