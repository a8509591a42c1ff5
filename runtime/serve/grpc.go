package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// What gRPC is allowed: a window of a stream lets a client send a typical
// tensor without waiting; that of a connection is shared by its streams.
const (
	maxStreams       = 256 // of one connection
	streamWindow     = 1 << 20
	connectionWindow = 4 << 20
	minPing          = 5 * time.Second  // between two pings of a client
	pingTime         = time.Minute      // until a silent client is pinged
	pingPatience     = 20 * time.Second // until one that does not answer is dropped
)

// service implements the published gRPC service over a server. What it leaves
// out (shared memory, traces, logging) is answered by UNIMPLEMENTED.
type service struct {
	pb.UnimplementedGRPCInferenceServiceServer
	*Server
}

// newGRPC returns the server to run. Handlers are cancelled when requests is.
func (s *Server) newGRPC(requests context.Context) *grpc.Server {
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(wire.Codec{}),
		grpc.MaxRecvMsgSize(s.cfg.MaxRequestBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connectionWindow),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingTime, Timeout: pingPatience}),
		grpc.ChainUnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			answer, err := next(ctx, request)
			return answer, s.grpcError(ctx, info.FullMethod, err)
		}),
	)
	// ModelInfer reads its message itself, once it has a slot: the messages that
	// are in memory are bounded by Config.MaxRequests, those that wait by their
	// windows.
	d := pb.GRPCInferenceService_ServiceDesc
	d.Methods = append([]grpc.MethodDesc{}, d.Methods...)
	for i := range d.Methods {
		if d.Methods[i].MethodName == "ModelInfer" {
			d.Methods[i].Handler = func(_ any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				ctx, cancel := both(ctx, requests)
				defer cancel()
				answer, err := s.modelInfer(ctx, read)
				return answer, s.grpcError(ctx, pb.GRPCInferenceService_ModelInfer_FullMethodName, err)
			}
		}
	}
	server.RegisterService(&d, service{Server: s})
	return server
}

// both returns a context that ends with ctx, and with other.
func both(ctx, other context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// grpcError gives an error the code that says what the client may do.
func (s *Server) grpcError(ctx context.Context, method string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err // gRPC's own, of a message that could not be read
	}
	code, _ := statusOf(err)
	level := slog.LevelDebug
	if code == codes.Internal {
		level = slog.LevelWarn
	}
	s.cfg.Logger.Log(ctx, level, "request failed", slog.String("method", method), slog.String("code", code.String()), slog.Any("error", err))
	return status.Error(code, err.Error())
}

// modelInfer reads a request, has the model answer and returns that.
func (s *Server) modelInfer(ctx context.Context, read func(any) error) (*pb.ModelInferResponse, error) {
	p := phases{began: time.Now()}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	p.queue = time.Since(p.began)
	in := new(pb.ModelInferRequest)
	if err := read(in); err != nil {
		return nil, readError(err)
	}
	return s.inferGRPC(ctx, in, p)
}

// readError gives gRPC's error about a message that cannot be read the right
// code where it is the client's fault.
func readError(err error) error {
	if status.Code(err) == codes.Internal {
		return fmt.Errorf("%w: %s", wire.ErrMalformed, status.Convert(err).Message())
	}
	return err
}

// inferGRPC has the model answer a request that has been read.
func (s *Server) inferGRPC(ctx context.Context, in *pb.ModelInferRequest, p phases) (*pb.ModelInferResponse, error) {
	request := Request{Model: in.GetModelName(), Version: in.GetModelVersion()}
	out, err := s.answerGRPC(ctx, in, &request, &p)
	s.count(request, out.GetModelVersion(), p, err)
	return out, err
}

// ModelStreamInfer answers the requests of a stream one after the other. What
// goes wrong with one of them is told in its answer; the stream goes on.
func (v service) ModelStreamInfer(stream grpc.BidiStreamingServer[pb.ModelInferRequest, pb.ModelStreamInferResponse]) error {
	for {
		in, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return readError(err)
		}
		if v.draining.Load() {
			return status.Error(codes.Unavailable, "the server stops")
		}
		out, err := v.streamed(stream.Context(), in)
		answer := &pb.ModelStreamInferResponse{InferResponse: out}
		if err != nil {
			answer.ErrorMessage = err.Error()
			answer.InferResponse = &pb.ModelInferResponse{ModelName: in.GetModelName(), ModelVersion: in.GetModelVersion(), Id: in.GetId()}
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// streamed answers one request of a stream.
func (v service) streamed(ctx context.Context, in *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
	p := phases{began: time.Now()}
	leave, err := v.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	p.queue = time.Since(p.began)
	return v.inferGRPC(ctx, in, p)
}
