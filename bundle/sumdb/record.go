package sumdb

import (
	"bytes"

	"golang.org/x/mod/sumdb/tlog"
)

// A record is what the database says of one module version, without a head.
type record struct {
	id   int64
	text []byte
}

// parseLookup takes an answer to a lookup apart.
func parseLookup(data []byte) (record, []byte, error) {
	id, text, head, err := tlog.ParseRecord(data)
	if err != nil {
		return record{}, nil, err
	}
	return record{id: id, text: bytes.Clone(text)}, head, nil
}

// format writes the lookup file of r under the head h.
func (r record) format(h head) ([]byte, error) {
	msg, err := tlog.FormatRecord(r.id, r.text)
	if err != nil {
		return nil, err
	}
	return append(msg, h.msg...), nil
}
