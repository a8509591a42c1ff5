package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// endpoint is what a URL asks for.
type endpoint struct {
	method string // the only one that it answers
	call   func(w http.ResponseWriter, r *http.Request, e endpoint) error
	model  string
	// version is what the URL names behind versions/, or empty.
	version string
}

// handler answers every URL below /v2.
func (s *Server) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, err := s.endpoint(r.URL.EscapedPath())
		switch {
		case err != nil:
			s.fail(w, r, err)
		case e.method != r.Method && (e.method != http.MethodGet || r.Method != http.MethodHead):
			w.Header().Set("Allow", e.method)
			writeError(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s takes %s", r.URL.Path, e.method))
		default:
			if err := e.call(w, r, e); err != nil {
				s.fail(w, r, err)
			}
		}
	})
}

var errNoEndpoint = fmt.Errorf("%w or endpoint", ErrUnknownModel)

// endpoint finds what a path asks for. The slash in a model's name may be
// escaped or not: a model is the two parts behind models/, whatever they are
// called.
func (s *Server) endpoint(escaped string) (endpoint, error) {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return endpoint{}, fmt.Errorf("%w: %w", errNoEndpoint, err)
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if parts[0] != "v2" {
		return endpoint{}, fmt.Errorf("%w: %.200q (everything is below /v2)", errNoEndpoint, path)
	}
	if len(parts) >= 4 && parts[1] == "models" {
		return s.modelEndpoint(path, parts[2]+"/"+parts[3], parts[4:])
	}
	switch strings.Join(parts[1:], "/") {
	case "":
		return endpoint{method: http.MethodGet, call: s.getServer}, nil
	case "health/live":
		return endpoint{method: http.MethodGet, call: s.getLive}, nil
	case "health/ready":
		return endpoint{method: http.MethodGet, call: s.getReady}, nil
	case "models":
		return endpoint{method: http.MethodGet, call: s.getModels}, nil
	case "models/stats":
		return endpoint{method: http.MethodGet, call: s.getStats}, nil
	case "repository/index":
		return endpoint{method: http.MethodPost, call: s.postIndex}, nil
	}
	switch parts[1] {
	case "repository":
		return endpoint{method: http.MethodPost, call: s.refuseLoad}, nil
	case "models":
		return endpoint{}, fmt.Errorf("%w: %.200q: a model is publisher/name", errNoEndpoint, strings.Join(parts[2:], "/"))
	case "trace", "logging", "systemsharedmemory", "cudasharedmemory", "xlasharedmemory":
		return endpoint{}, fmt.Errorf("%w: the extension %s", ErrUnsupported, parts[1])
	}
	return endpoint{}, fmt.Errorf("%w: %.200q", errNoEndpoint, path)
}

// modelEndpoint finds what the rest of a path behind a model asks for.
func (s *Server) modelEndpoint(path, model string, rest []string) (endpoint, error) {
	e := endpoint{method: http.MethodGet, model: model}
	if len(rest) >= 2 && rest[0] == "versions" {
		e.version, rest = rest[1], rest[2:]
	}
	switch strings.Join(rest, "/") {
	case "":
		e.call = s.getModel
	case "ready":
		e.call = s.getModelReady
	case "config":
		e.call = s.getModelConfig
	case "stats":
		e.call = s.getStats
	case "infer":
		e.method, e.call = http.MethodPost, s.postInfer
	case "generate", "generate_stream", "trace/setting":
		return e, fmt.Errorf("%w: %s", ErrUnsupported, strings.Join(rest, "/"))
	default:
		return e, fmt.Errorf("%w: %.200q", errNoEndpoint, path)
	}
	return e, nil
}

// fail tells the client what went wrong.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	_, status := statusOf(err)
	level := slog.LevelDebug
	if status == http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	s.cfg.Logger.Log(r.Context(), level, "request failed", slog.String("path", r.URL.Path), slog.Int("status", status), slog.Any("error", err))
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || errors.Is(err, errTooLarge) {
		w.Header().Set("Connection", "close") // the rest of the body is not worth reading
	}
	writeError(w, status, err.Error())
}

// writeError answers as the protocol says: {"error": text}.
func writeError(w http.ResponseWriter, status int, text string) {
	w.Header().Del("Content-Encoding")
	writeJSON(w, status, map[string]string{"error": text})
}

// writeJSON answers with one small JSON value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil { // of our own types, so a mistake of ours
		status, data = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error means that the client has gone away; nobody is left to tell.
	_, _ = w.Write(data)
}
