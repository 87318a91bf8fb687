package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/goferry/goferry/oci"
)

// How often is looked for changes on this machine, which costs a call of stat; and how long a failed renewal
// waits for another try where nothing changes.
const (
	lookEvery  = time.Second
	retryAfter = time.Minute
)

// watch renews what is served when the sources change, until ctx is done.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.poll(ctx, now)
		}
	}
}

// poll looks at all places, and renews what is served if one has changed and is not changing any more. A place that is
// gone keeps what it had.
func (s *Server) poll(ctx context.Context, now time.Time) {
	if s.opts.Users != nil {
		s.complain(ctx, &s.usersComplaint, s.opts.Users.refresh())
	}
	due := now.After(s.retry) && !s.retry.IsZero()
	for _, p := range s.places {
		if p.Reference.Transport == oci.TransportRegistry {
			if now.Before(p.next) {
				continue
			}
			p.next = now.Add(s.opts.Refresh)
		}
		before, wasSettled := p.seen, p.settled
		err := p.lookAgain(ctx)
		s.complain(ctx, &p.complaint, err)
		due = due || p.changed() && (!wasSettled || !p.seen.equal(before))
	}
	if due {
		s.renew(ctx, now)
	}
}

// lookAgain notes the state of the place, and whether it can be relied on.
func (p *place) lookAgain(ctx context.Context) error {
	seen, err := p.look(ctx, p.store)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.settled, p.renewed = false, true
		return fmt.Errorf("%s is gone: what it had is served as long as it can be read", p.Name)
	case err != nil:
		p.settled = false
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	// A file that is being written is read when it has been the same twice. A registry's tag has no such time.
	p.settled = seen.equal(p.seen) || p.Reference.Transport == oci.TransportRegistry
	p.seen = seen
	return nil
}

// renew loads what has changed.
func (s *Server) renew(ctx context.Context, now time.Time) {
	err := s.load(ctx)
	if ctx.Err() != nil {
		return
	}
	s.meters.reloaded(err)
	s.complain(ctx, &s.complaint, err)
	if err != nil {
		s.retry = now.Add(retryAfter)
		return
	}
	s.retry = time.Time{}
	if s.opts.Renewed != nil {
		s.opts.Renewed(s.Bundles())
	}
}

// complain tells an error once, until there is another one or none.
func (s *Server) complain(ctx context.Context, last *string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != *last && err != nil && ctx.Err() == nil && s.opts.Failed != nil {
		s.opts.Failed(err)
	}
	*last = text
}
