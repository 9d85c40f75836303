package dataplane

// enter begins a request, or puts it behind those that come before it.
func (b *bridge) enter(m *message) *refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.id == nil {
		if len(b.line) >= mostHeld {
			return &refusal{status: 429, code: "queue_full", reason: reasonQueueFull, retry: 1, msg: "as many requests of this connection wait for their turn as may"}
		}
		if b.line = append(b.line, m); !b.ordered {
			b.ordered = true
			b.begin(b.inOrder)
		}
		return nil
	}
	if b.running[m.name] != nil {
		return badRequest("id", "a request with this id is under way")
	}
	if most := b.g.cfg.WebSocket.Requests; len(b.running) >= most {
		return &refusal{status: 429, code: "rate_limited", reason: reasonRateLimited, retry: 1, msg: "as many requests of this connection are under way as may (websocket.requests)"}
	}
	if b.running == nil {
		b.running = make(map[string]*message)
	}
	b.running[m.name] = m
	b.begin(func() { b.serve(m) })
	return nil
}

// begin gives messages a goroutine. With mu held.
func (b *bridge) begin(run func()) {
	b.active++
	b.calls.Go(func() {
		run()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.rested()
	})
}

// inOrder answers those in line, until there is none.
func (b *bridge) inOrder() {
	for turn := int64(0); ; turn = b.g.now() {
		m := b.first()
		if m == nil {
			return
		}
		m.req.arrived = max(m.req.arrived, turn) // as of what is pipelined over HTTP
		b.serve(m)
	}
}

// serve answers m. A fault that is not its request's alone ends the connection.
func (b *bridge) serve(m *message) {
	defer b.leave(m)
	whole := false
	defer func() {
		if !whole {
			b.interrupt(stopLeft)
		}
	}()
	defer b.g.survive()
	m.run()
	whole = true
}

// first is whose turn it is; nil: nobody's, and who comes next has to begin anew.
func (b *bridge) first() *message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ordered = len(b.line) > 0; b.ordered {
		return b.line[0]
	}
	b.line = nil
	return nil
}

// leave makes m's place, and its id, free for the next.
func (b *bridge) leave(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case m.id != nil && b.running[m.name] == m:
		delete(b.running, m.name)
	case m.id == nil && len(b.line) > 0 && b.line[0] == m:
		b.line[0] = nil
		b.line = b.line[1:]
	}
}

// cancel ends the request with the id of m.
func (b *bridge) cancel(m *message) {
	b.mu.Lock()
	victim := b.running[m.name]
	b.mu.Unlock()
	if victim == nil {
		m.answer(badRequest("id", "no request with this id is under way"))
		return
	}
	m.call.end()
	victim.cancelled.Store(true)
	victim.interrupt(stopLeft)
}

// abandon ends all that is under way, and what waits for it.
func (b *bridge) abandon(why uint32) {
	b.mu.Lock()
	var all []*message
	all = append(all, b.line...)
	for _, m := range b.running {
		all = append(all, m)
	}
	b.mu.Unlock()
	for _, m := range all {
		m.interrupt(why)
	}
}

// idle says whether nothing is under way.
func (b *bridge) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active == 0
}
