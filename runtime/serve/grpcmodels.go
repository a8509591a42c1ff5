package serve

import (
	"context"
	"errors"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// ServerLive implements the protocol: the server answers, so it is live.
func (v service) ServerLive(context.Context, *pb.ServerLiveRequest) (*pb.ServerLiveResponse, error) {
	return &pb.ServerLiveResponse{Live: true}, nil
}

// ServerReady tells whether requests are taken and every model is ready.
func (v service) ServerReady(context.Context, *pb.ServerReadyRequest) (*pb.ServerReadyResponse, error) {
	return &pb.ServerReadyResponse{Ready: v.ready()}, nil
}

// ModelReady tells whether a model answers; one that nobody knows does not.
func (v service) ModelReady(_ context.Context, in *pb.ModelReadyRequest) (*pb.ModelReadyResponse, error) {
	m, err := v.cfg.Models.Model(in.GetName(), in.GetVersion())
	if err != nil && !errors.Is(err, ErrUnknownModel) && !errors.Is(err, modelrt.ErrNotActive) {
		return nil, err
	}
	return &pb.ModelReadyResponse{Ready: err == nil && m.Ready && !v.draining.Load()}, nil
}

// ServerMetadata tells what the server is.
func (v service) ServerMetadata(context.Context, *pb.ServerMetadataRequest) (*pb.ServerMetadataResponse, error) {
	return &pb.ServerMetadataResponse{Name: serverName, Version: v.cfg.Version, Extensions: extensions()}, nil
}

// ModelMetadata tells what a model takes and gives.
func (v service) ModelMetadata(_ context.Context, in *pb.ModelMetadataRequest) (*pb.ModelMetadataResponse, error) {
	m, err := v.cfg.Models.Model(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	tensors := func(ports []modelrt.Port) []*pb.ModelMetadataResponse_TensorMetadata {
		out := make([]*pb.ModelMetadataResponse_TensorMetadata, len(ports))
		for i, p := range ports {
			out[i] = &pb.ModelMetadataResponse_TensorMetadata{Name: p.Name, Datatype: wire.Datatype(p.DType), Shape: p.Shape}
		}
		return out
	}
	return &pb.ModelMetadataResponse{
		Name: m.Name, Versions: m.Versions, Platform: m.Platform,
		Inputs: tensors(m.Signature.Inputs), Outputs: tensors(m.Signature.Outputs),
	}, nil
}

// ModelConfig gives a model's configuration as Triton has it.
func (v service) ModelConfig(_ context.Context, in *pb.ModelConfigRequest) (*pb.ModelConfigResponse, error) {
	m, err := v.cfg.Models.Model(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	return &pb.ModelConfigResponse{Config: modelConfig(m)}, nil
}

// ModelStatistics gives what requests took.
func (v service) ModelStatistics(_ context.Context, in *pb.ModelStatisticsRequest) (*pb.ModelStatisticsResponse, error) {
	stats, err := v.statsOf(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	total := func(t Total) *pb.StatisticDuration { return &pb.StatisticDuration{Count: t.Count, Ns: uint64(t.Time)} }
	out := new(pb.ModelStatisticsResponse)
	for _, m := range stats {
		out.ModelStats = append(out.ModelStats, &pb.ModelStatistics{
			Name: m.Name, Version: m.Version, LastInference: milliseconds(m.Last),
			InferenceCount: m.Success.Count, ExecutionCount: m.Success.Count,
			InferenceStats: &pb.InferStatistics{
				Success: total(m.Success), Fail: total(m.Fail), Queue: total(m.Queue),
				ComputeInput: total(m.Input), ComputeInfer: total(m.Infer), ComputeOutput: total(m.Output),
				CacheHit: total(Total{}), CacheMiss: total(Total{}),
			},
		})
	}
	return out, nil
}

// RepositoryIndex lists the models.
func (v service) RepositoryIndex(_ context.Context, in *pb.RepositoryIndexRequest) (*pb.RepositoryIndexResponse, error) {
	out := new(pb.RepositoryIndexResponse)
	for _, m := range v.index(in.GetReady()) {
		out.Models = append(out.Models, &pb.RepositoryIndexResponse_ModelIndex{Name: m.Name, Version: m.Version, State: m.State, Reason: m.Reason})
	}
	return out, nil
}

// RepositoryModelLoad refuses: the mesh decides.
func (v service) RepositoryModelLoad(context.Context, *pb.RepositoryModelLoadRequest) (*pb.RepositoryModelLoadResponse, error) {
	return nil, errLoad
}

// RepositoryModelUnload refuses: the mesh decides.
func (v service) RepositoryModelUnload(context.Context, *pb.RepositoryModelUnloadRequest) (*pb.RepositoryModelUnloadResponse, error) {
	return nil, errLoad
}
