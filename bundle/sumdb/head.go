package sumdb

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A head is a signed tree head whose signature was checked. The zero head is
// none, and covers no record.
type head struct {
	msg  []byte
	n    int64 // records in the tree
	hash tlog.Hash
}

func (h head) sameTree(other head) bool { return h.n == other.n && h.hash == other.hash }

// HeadSize checks the signature of a tree head, and returns how many records
// its tree has.
func HeadSize(msg []byte, verifierKey string) (int64, error) {
	h, err := openHeadNote(msg, verifierKey)
	if err != nil {
		return 0, fmt.Errorf("signed tree head: %w: %w", ErrSecurity, err)
	}
	return h.n, nil
}

// SplitHeads returns the signed tree heads that stand in a file one after the
// other. It checks none of them.
func SplitHeads(data []byte) [][]byte {
	const first = "\ngo.sum database tree\n"
	var heads [][]byte
	for data = bytes.TrimSpace(data); len(data) > 0; {
		end := len(data)
		if i := bytes.Index(data, []byte(first)); i >= 0 {
			end = i
		}
		heads = append(heads, slices.Concat(bytes.TrimSpace(data[:end]), []byte("\n")))
		data = bytes.TrimSpace(data[end:])
	}
	return heads
}

// openHeadNote checks the signature of a tree head.
func openHeadNote(msg []byte, key string) (head, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return head{}, err
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return head{}, err
	}
	tree, err := tlog.ParseTree([]byte(n.Text))
	if err != nil {
		return head{}, err
	}
	return head{msg, tree.N, tree.Hash}, nil
}

// sortHeads sorts by size, and keeps one of each tree.
func sortHeads(heads []head) []head {
	slices.SortFunc(heads, func(a, b head) int {
		return cmp.Or(cmp.Compare(a.n, b.n), bytes.Compare(a.hash[:], b.hash[:]), bytes.Compare(a.msg, b.msg))
	})
	return slices.CompactFunc(heads, head.sameTree)
}

func newest(heads []head) head {
	if len(heads) == 0 {
		return head{}
	}
	return slices.MaxFunc(heads, func(a, b head) int { return cmp.Compare(a.n, b.n) })
}
