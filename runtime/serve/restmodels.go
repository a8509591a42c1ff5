package serve

import (
	"fmt"
	"net/http"
	"time"

	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// serverName is how the server calls itself.
const serverName = "dunlin"

// extensions are those that the server has, by the names that Triton gives
// them; of model_repository only the index.
func extensions() []string {
	return []string{"binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics"}
}

func (s *Server) getServer(w http.ResponseWriter, _ *http.Request, _ endpoint) error {
	writeJSON(w, http.StatusOK, map[string]any{"name": serverName, "version": s.cfg.Version, "extensions": extensions()})
	return nil
}

func (s *Server) getLive(w http.ResponseWriter, _ *http.Request, _ endpoint) error {
	writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	return nil
}

func (s *Server) getReady(w http.ResponseWriter, _ *http.Request, _ endpoint) error {
	ready, status := s.ready(), http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, map[string]bool{"ready": ready})
	return nil
}

// getModels lists the names of models, as KServe does.
func (s *Server) getModels(w http.ResponseWriter, _ *http.Request, _ endpoint) error {
	names := []string{}
	for _, m := range s.cfg.Models.List() {
		if len(names) == 0 || names[len(names)-1] != m.Name {
			names = append(names, m.Name)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"models": names})
	return nil
}

// tensorMetadata is one tensor of a model's metadata.
type tensorMetadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

func describePorts(ports []modelrt.Port) []tensorMetadata {
	out := make([]tensorMetadata, len(ports))
	for i, p := range ports {
		out[i] = tensorMetadata{Name: p.Name, Datatype: wire.Datatype(p.DType), Shape: append([]int64{}, p.Shape...)}
	}
	return out
}

func (s *Server) getModel(w http.ResponseWriter, _ *http.Request, e endpoint) error {
	m, err := s.cfg.Models.Model(e.model, e.version)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"name": m.Name, "versions": m.Versions, "platform": m.Platform,
		"inputs": describePorts(m.Signature.Inputs), "outputs": describePorts(m.Signature.Outputs),
	})
	return nil
}

func (s *Server) getModelReady(w http.ResponseWriter, _ *http.Request, e endpoint) error {
	m, err := s.cfg.Models.Model(e.model, e.version)
	if err != nil {
		return err
	}
	ready, status := m.Ready && !s.draining.Load(), http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, map[string]any{"name": m.Name, "ready": ready})
	return nil
}

// getModelConfig gives what Triton's model configuration says of a model, as
// far as it has a meaning here.
func (s *Server) getModelConfig(w http.ResponseWriter, _ *http.Request, e endpoint) error {
	m, err := s.cfg.Models.Model(e.model, e.version)
	if err != nil {
		return err
	}
	ports := func(ports []modelrt.Port) []map[string]any {
		out := make([]map[string]any, len(ports))
		for i, p := range ports {
			out[i] = map[string]any{"name": p.Name, "data_type": configType(p.DType).String(), "dims": dims(m, p)}
		}
		return out
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"name": m.Name, "platform": m.Platform, "backend": backend, "max_batch_size": m.MaxBatch,
		"input": ports(m.Signature.Inputs), "output": ports(m.Signature.Outputs),
	})
	return nil
}

// duration is a total in the statistics extension's form.
type duration struct {
	Count uint64 `json:"count"`
	NS    uint64 `json:"ns"`
}

func (t Total) duration() duration { return duration{Count: t.Count, NS: uint64(t.Time)} }

func (s *Server) getStats(w http.ResponseWriter, _ *http.Request, e endpoint) error {
	stats, err := s.statsOf(e.model, e.version)
	if err != nil {
		return err
	}
	out := make([]map[string]any, len(stats))
	for i, m := range stats {
		out[i] = map[string]any{
			"name": m.Name, "version": m.Version, "last_inference": milliseconds(m.Last),
			"inference_count": m.Success.Count, "execution_count": m.Success.Count,
			"inference_stats": map[string]duration{
				"success": m.Success.duration(), "fail": m.Fail.duration(), "queue": m.Queue.duration(),
				"compute_input": m.Input.duration(), "compute_infer": m.Infer.duration(), "compute_output": m.Output.duration(),
				"cache_hit": {}, "cache_miss": {},
			},
			"batch_stats": []any{}, "memory_usage": []any{},
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"model_stats": out})
	return nil
}

// milliseconds since 1970, 0 for never.
func milliseconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMilli())
}

// statsOf returns the figures of a version of a model; of what nobody has
// asked for yet, zeros.
func (s *Server) statsOf(name, version string) ([]ModelStats, error) {
	stats := s.stats.get(name, version)
	if name == "" || len(stats) > 0 {
		return stats, nil
	}
	m, err := s.cfg.Models.Model(name, version)
	if err != nil {
		return nil, err
	}
	return []ModelStats{{Name: m.Name, Version: m.Version}}, nil
}

// indexEntry is one version of a model in the repository index.
type indexEntry struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
}

// index lists every version of every model, or only those that are ready.
func (s *Server) index(onlyReady bool) []indexEntry {
	out := []indexEntry{}
	for _, m := range s.cfg.Models.List() {
		state := "READY"
		if !m.Ready {
			state = "UNAVAILABLE"
		}
		if m.Ready || !onlyReady {
			out = append(out, indexEntry{Name: m.Name, Version: m.Version, State: state, Reason: m.Reason})
		}
	}
	return out
}

func (s *Server) postIndex(w http.ResponseWriter, r *http.Request, _ endpoint) error {
	body, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	var request struct {
		Ready bool `json:"ready"`
	}
	if len(body) > 0 {
		if err := wire.Decode(body, &request); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, s.index(request.Ready))
	return nil
}

// errLoad answers those who want to load or unload a model.
var errLoad = fmt.Errorf("%w: which release of a model serves is decided by what its publisher signs and this node follows: see `dunlin follow`, `dunlin unfollow`", errRefused)

func (s *Server) refuseLoad(http.ResponseWriter, *http.Request, endpoint) error { return errLoad }
