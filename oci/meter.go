package oci

import (
	"io"
	"sync/atomic"
)

// newMeter counts what is read. It is an [io.ReaderAt] or a [skipper] if r is.
func newMeter(r io.Reader, count func(int64)) io.Reader {
	if count == nil {
		return r
	}
	if at, ok := r.(io.ReaderAt); ok {
		return &meterAt{meter: meter{r, count}, at: at}
	}
	if s, ok := r.(skipper); ok {
		return &meterSkip{meter: meter{r, count}, skipper: s}
	}
	return &meter{r, count}
}

type meter struct {
	r     io.Reader
	count func(int64)
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.count(int64(n))
	return n, err
}

type meterAt struct {
	meter
	at  io.ReaderAt
	top atomic.Int64 // what was read for the first time
}

func (m *meterAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.at.ReadAt(p, off)
	end := off + int64(n)
	if top := m.top.Load(); end > top && m.top.CompareAndSwap(top, end) {
		m.count(end - top)
	}
	return n, err
}

// meterSkip counts what is skipped as read: it is there already.
type meterSkip struct {
	meter
	skipper
	at, top int64 // where it is, and has been
}

func (m *meterSkip) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.reach(m.at + int64(n))
	return n, err
}

func (m *meterSkip) skipTo(offset int64) error {
	err := m.skipper.skipTo(offset)
	if err == nil {
		m.reach(offset)
	}
	return err
}

func (m *meterSkip) reach(at int64) {
	if m.at = at; at > m.top {
		m.count(at - m.top)
		m.top = at
	}
}
