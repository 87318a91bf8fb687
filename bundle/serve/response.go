package serve

import (
	"io"
	"net/http"
	"time"
)

// stallLimit is how long a client may take for a piece of an answer. One that takes less than a piece in that time is
// dropped; any other may take as long as it needs.
const (
	stallLimit = time.Minute
	piece      = 256 << 10
)

// A response counts what is sent, and drops clients that take nothing. It sends files by the kernel as the one that it
// wraps does.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	status  int
	bytes   int64
}

func newResponse(w http.ResponseWriter) *response {
	r := &response{ResponseWriter: w, control: http.NewResponseController(w)}
	r.extend()
	return r
}

// extend gives the client another while. A connection keeps its deadline, so each answer begins with a new one.
func (r *response) extend() {
	r.control.SetWriteDeadline(time.Now().Add(stallLimit)) // what cannot do that is not a connection
}

// Unwrap is for http.ResponseController.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *response) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(p []byte) (n int, err error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.extend()
	n, err = r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom sends a part of a file, of which http.ServeContent makes a limited reader, piece by piece.
func (r *response) ReadFrom(src io.Reader) (n int64, err error) {
	to, ok := r.ResponseWriter.(io.ReaderFrom)
	part, limited := src.(*io.LimitedReader)
	if !ok || !limited {
		return io.Copy(struct{ io.Writer }{r}, src)
	}
	if r.status == 0 {
		r.status = http.StatusOK
	}
	for part.N > 0 && err == nil {
		r.extend()
		next := &io.LimitedReader{R: part.R, N: min(part.N, piece)}
		var sent int64
		sent, err = to.ReadFrom(next)
		n += sent
		part.N -= sent
		if sent == 0 && err == nil {
			break // the file is shorter than it was
		}
	}
	r.bytes += n
	return n, err
}
