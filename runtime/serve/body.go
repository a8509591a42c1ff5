package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"

	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// readBody returns the whole body of a request, unpacked.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	header, binary, err := s.readParts(w, r)
	return append(header, binary...), err
}

// readParts returns the JSON of a request and the bytes behind it, unpacked.
// They lie apart, so that tensors begin where every element type may.
func (s *Server) readParts(w http.ResponseWriter, r *http.Request) (header, binary []byte, err error) {
	limit := int64(s.cfg.MaxRequestBytes)
	if r.ContentLength > limit {
		return nil, nil, fmt.Errorf("%w: %d bytes, at most %d", errTooLarge, r.ContentLength, limit)
	}
	body := io.Reader(http.MaxBytesReader(w, r.Body, limit))
	length := r.ContentLength // of the body as it will be read, -1 if unknown
	if body, err = unpack(body, r.Header.Get("Content-Encoding")); err != nil {
		return nil, nil, err
	} else if r.Header.Get("Content-Encoding") != "" {
		length = -1
	}
	body = io.LimitReader(body, limit+1)
	if text := r.Header.Get(wire.HeaderLength); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > min(wire.MaxHeaderBytes, limit) || length >= 0 && n > length {
			return nil, nil, fmt.Errorf("%w: %s is %.40q, want a number up to %d within the body", wire.ErrMalformed, wire.HeaderLength, text, wire.MaxHeaderBytes)
		}
		header = make([]byte, n)
		if _, err := io.ReadFull(body, header); err != nil {
			return nil, nil, bodyError(err)
		}
		if length >= 0 {
			length -= n
		}
	}
	rest, err := readAll(body, length)
	if err != nil {
		return nil, nil, bodyError(err)
	}
	// The server's ReadTimeout was for the request; what the model takes is
	// another matter. A connection without deadlines needs none taken away.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if int64(len(header)+len(rest)) > limit {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
	}
	if header == nil {
		return rest, nil, nil
	}
	return header, rest, nil
}

// readAll reads length bytes, or all there are where it is negative.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length < 0 {
		return io.ReadAll(r)
	}
	data := make([]byte, length)
	_, err := io.ReadFull(r, data)
	return data, err
}

// bodyError says what it means that a body cannot be read.
func bodyError(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fmt.Errorf("%w: more than %d bytes", errTooLarge, tooLarge.Limit)
	}
	return fmt.Errorf("%w: body: %w", wire.ErrMalformed, err)
}

// unpack undoes a Content-Encoding. "deflate" is zlib's format, as HTTP has it.
func unpack(r io.Reader, encoding string) (io.Reader, error) {
	var err error
	switch strings.ToLower(encoding) {
	case "", "identity":
		return r, nil
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	default:
		return nil, fmt.Errorf("%w: content encoding %.40q, want gzip or deflate", ErrUnsupported, encoding)
	}
	if err != nil {
		return nil, bodyError(err)
	}
	return r, nil
}

// minPacked is the size from which answers are packed for clients that accept
// it; less would hardly become smaller.
const minPacked = 1 << 10

// pack returns an answer of several parts packed as the client accepts it, and
// how; the parts as they are and "" where it does not, or where it is not worth
// it.
func pack(parts [][]byte, accept string) ([][]byte, string) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	encoding := accepted(accept)
	if encoding == "" || size < minPacked {
		return parts, ""
	}
	var out bytes.Buffer
	var w io.WriteCloser
	// The levels exist, and writing to memory cannot fail.
	if encoding == "gzip" {
		w, _ = gzip.NewWriterLevel(&out, gzip.BestSpeed)
	} else {
		w, _ = zlib.NewWriterLevel(&out, zlib.BestSpeed)
	}
	for _, p := range parts {
		_, _ = w.Write(p)
	}
	_ = w.Close()
	return [][]byte{out.Bytes()}, encoding
}

// accepted returns the coding that an Accept-Encoding header likes best among
// gzip and deflate, or "".
func accepted(header string) string {
	best, liked := "", 0.0
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "deflate" {
			continue
		}
		q := 1.0
		if text, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				continue
			}
			q = v
		}
		if q > liked {
			best, liked = name, q
		}
	}
	return best
}
