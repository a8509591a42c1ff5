package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
)

// Codec is gRPC's codec for protobuf messages. It writes and reads what gRPC's
// own does, and treats two messages specially, ModelInferRequest and
// ModelInferResponse: their raw contents are copied once when read, each to an
// allocation of its own (so that it is aligned for every element type), and
// not at all when written, so they must not change after they have been handed
// to gRPC. When reading, the bounds of this package hold.
type Codec struct{}

// Name implements encoding.CodecV2: it stands in for gRPC's own codec.
func (Codec) Name() string { return "proto" }

// Field numbers of the published protocol.
const (
	rawInputContents  protowire.Number = 7
	rawOutputContents protowire.Number = 6
)

// Marshal implements encoding.CodecV2.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *pb.ModelInferRequest:
		return withRaw(&pb.ModelInferRequest{
			ModelName: m.ModelName, ModelVersion: m.ModelVersion, Id: m.Id,
			Parameters: m.Parameters, Inputs: m.Inputs, Outputs: m.Outputs,
		}, rawInputContents, m.RawInputContents)
	case *pb.ModelInferResponse:
		return withRaw(&pb.ModelInferResponse{
			ModelName: m.ModelName, ModelVersion: m.ModelVersion, Id: m.Id,
			Parameters: m.Parameters, Outputs: m.Outputs,
		}, rawOutputContents, m.RawOutputContents)
	case proto.Message:
		return withRaw(m, 0, nil)
	}
	return nil, fmt.Errorf("marshal %T: no protobuf message", v)
}

// withRaw returns head's form followed by a field for each of raw, whose memory
// the result shares.
func withRaw(head proto.Message, field protowire.Number, raw [][]byte) (mem.BufferSlice, error) {
	data, err := proto.Marshal(head)
	if err != nil {
		return nil, err
	}
	out := make(mem.BufferSlice, 0, 1+2*len(raw))
	for _, content := range raw {
		data = protowire.AppendTag(data, field, protowire.BytesType)
		data = protowire.AppendVarint(data, uint64(len(content)))
		if len(content) > 0 {
			out = append(out, mem.SliceBuffer(data), mem.SliceBuffer(content))
			data = nil
		}
	}
	if data != nil {
		out = append(out, mem.SliceBuffer(data))
	}
	return out, nil
}

// Unmarshal implements encoding.CodecV2.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *pb.ModelInferRequest:
		head, raw, err := splitRaw(data, rawInputContents)
		if err != nil {
			return err
		}
		if err := proto.Unmarshal(head, m); err != nil {
			return err
		}
		m.RawInputContents = raw
		return nil
	case *pb.ModelInferResponse:
		head, raw, err := splitRaw(data, rawOutputContents)
		if err != nil {
			return err
		}
		if err := proto.Unmarshal(head, m); err != nil {
			return err
		}
		m.RawOutputContents = raw
		return nil
	case proto.Message:
		if data.Len() > MaxHeaderBytes {
			return fmt.Errorf("%w: a message of %d bytes, at most %d", ErrMalformed, data.Len(), MaxHeaderBytes)
		}
		return proto.Unmarshal(data.Materialize(), m) //nolint:misspell // gRPC's own name
	}
	return fmt.Errorf("unmarshal %T: no protobuf message", v)
}

// splitRaw takes the raw contents, which are fields of that number, out of a
// message and returns the rest of it, and them.
func splitRaw(data mem.BufferSlice, field protowire.Number) (head []byte, raw [][]byte, err error) {
	r := data.Reader()
	defer func() { err = errors.Join(err, r.Close()) }()
	for fields := 0; r.Remaining() > 0; fields++ {
		if fields > 4*MaxTensors {
			return nil, nil, fmt.Errorf("%w: more than %d fields", ErrMalformed, 4*MaxTensors)
		}
		tag, err := binary.ReadUvarint(r)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: tag: %w", ErrMalformed, noEOF(err))
		}
		number, kind := protowire.DecodeTag(tag)
		if number < protowire.MinValidNumber || tag > math.MaxUint32 {
			return nil, nil, fmt.Errorf("%w: invalid field number", ErrMalformed)
		}
		size, prefix, err := sizeOf(r, kind)
		if err != nil {
			return nil, nil, err
		}
		if size > uint64(r.Remaining()) {
			return nil, nil, fmt.Errorf("%w: field %d has %d bytes, %d are left", ErrMalformed, number, size, r.Remaining())
		}
		if number == field && kind == protowire.BytesType {
			if len(raw) == MaxTensors {
				return nil, nil, fmt.Errorf("%w: more than %d raw contents", ErrMalformed, MaxTensors)
			}
			content := make([]byte, size)
			if _, err := io.ReadFull(r, content); err != nil {
				return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, noEOF(err))
			}
			raw = append(raw, content)
			continue
		}
		if uint64(len(head))+size > MaxHeaderBytes {
			return nil, nil, fmt.Errorf("%w: more than %d bytes that are no raw contents: send large tensors raw", ErrMalformed, MaxHeaderBytes)
		}
		head = protowire.AppendVarint(head, tag)
		head = append(head, prefix...)
		at := len(head)
		head = append(head, make([]byte, size)...)
		if _, err := io.ReadFull(r, head[at:]); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, noEOF(err))
		}
	}
	return head, raw, nil
}

// sizeOf reads what stands between a field's tag and its value: it returns how
// many bytes follow, and the bytes that were read.
func sizeOf(r *mem.Reader, kind protowire.Type) (size uint64, prefix []byte, err error) {
	switch kind {
	case protowire.VarintType:
		v, err := binary.ReadUvarint(r)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: number: %w", ErrMalformed, noEOF(err))
		}
		return 0, protowire.AppendVarint(nil, v), nil
	case protowire.Fixed32Type:
		return 4, nil, nil
	case protowire.Fixed64Type:
		return 8, nil, nil
	case protowire.BytesType:
		if size, err = binary.ReadUvarint(r); err != nil {
			return 0, nil, fmt.Errorf("%w: length: %w", ErrMalformed, noEOF(err))
		}
		return size, protowire.AppendVarint(nil, size), nil
	}
	return 0, nil, fmt.Errorf("%w: wire type %d", ErrMalformed, kind)
}

// noEOF names the end of a message that is cut off.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
