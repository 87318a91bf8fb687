package serve

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// An Htpasswd is a file of users and their passwords, as "htpasswd -B" writes it. It is read again when it changes.
//
// A password costs as much to check as its hash says, on purpose; a go command sends hundreds of requests. So what was
// right once is known again by a keyed sum of it, as long as the file is the same.
type Htpasswd struct {
	path   string
	key    []byte        // of the sums; it never leaves this process
	checks chan struct{} // as many passwords are checked at once

	mu      sync.Mutex
	hashes  map[string][]byte
	nothing []byte            // hash that is checked where there is no such user, which takes as long
	right   map[string][]byte // sum of the last right password, by user
	file    os.FileInfo       // that hashes are of
}

// OpenHtpasswd reads the file. Other hashes than bcrypt's are refused: they are too weak to be put before a network.
func OpenHtpasswd(path string) (*Htpasswd, error) {
	h := &Htpasswd{path: path, key: make([]byte, sha256.Size), checks: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	rand.Read(h.key)
	return h, h.read()
}

// read replaces the users by those that the file has.
func (h *Htpasswd) read() error {
	f, err := os.Open(h.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	hashes, most := make(map[string][]byte), bcrypt.MinCost
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, hash, _ := strings.Cut(line, ":")
		cost, err := bcrypt.Cost([]byte(hash))
		if user == "" || err != nil {
			return fmt.Errorf("%s: line %d is not a user with a bcrypt password, as \"htpasswd -B\" writes it", h.path, n)
		}
		hashes[user], most = []byte(hash), max(most, cost)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", h.path, err)
	}
	if len(hashes) == 0 {
		return fmt.Errorf("%s has no users", h.path)
	}
	if h.nothing, err = bcrypt.GenerateFromPassword(h.key, most); err != nil {
		return err
	}
	h.hashes, h.right, h.file = hashes, make(map[string][]byte), info
	return nil
}

// refresh reads the file again if it has changed. Where that fails the users stay as they are.
func (h *Htpasswd) refresh() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	info, err := os.Stat(h.path)
	if err != nil || sameContent(info, h.file) {
		return err
	}
	return h.read()
}

// check says whether the password is the user's.
func (h *Htpasswd) check(ctx context.Context, user, password string) bool {
	h.mu.Lock()
	hash, known := h.hashes[user]
	nothing, right := h.nothing, h.right[user]
	h.mu.Unlock()
	mac := hmac.New(sha256.New, h.key)
	mac.Write(hash)
	mac.Write([]byte{0})
	mac.Write([]byte(password))
	sum := mac.Sum(nil)
	if known && hmac.Equal(sum, right) {
		return true
	}
	if !known {
		hash = nothing
	}
	select {
	case h.checks <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	err := bcrypt.CompareHashAndPassword(hash, []byte(password))
	<-h.checks
	if err != nil || !known {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.right[user] = sum
	return true
}
