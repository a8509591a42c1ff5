package serve

import (
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
)

// backend is Triton's name for what runs the models.
const backend = "onnxruntime"

// configType returns the name that model configurations have for a type.
func configType(d modelrt.DType) pb.DataType {
	return map[modelrt.DType]pb.DataType{
		modelrt.F32: pb.DataType_TYPE_FP32, modelrt.F64: pb.DataType_TYPE_FP64,
		modelrt.F16: pb.DataType_TYPE_FP16, modelrt.BF16: pb.DataType_TYPE_BF16,
		modelrt.I8: pb.DataType_TYPE_INT8, modelrt.U8: pb.DataType_TYPE_UINT8,
		modelrt.I16: pb.DataType_TYPE_INT16, modelrt.U16: pb.DataType_TYPE_UINT16,
		modelrt.I32: pb.DataType_TYPE_INT32, modelrt.U32: pb.DataType_TYPE_UINT32,
		modelrt.I64: pb.DataType_TYPE_INT64, modelrt.U64: pb.DataType_TYPE_UINT64,
		modelrt.BOOL: pb.DataType_TYPE_BOOL, modelrt.STRING: pb.DataType_TYPE_STRING,
	}[d]
}

// dims returns a port's shape as model configurations give it: without the
// first dimension where the model takes batches.
func dims(m Model, p modelrt.Port) []int64 {
	if m.MaxBatch > 0 && len(p.Shape) > 0 {
		return append([]int64{}, p.Shape[1:]...)
	}
	return append([]int64{}, p.Shape...)
}

// modelConfig is what Triton's model configuration says of a model, as far as
// it has a meaning here.
func modelConfig(m Model) *pb.ModelConfig {
	c := &pb.ModelConfig{Name: m.Name, Platform: m.Platform, Backend: backend, MaxBatchSize: int32(m.MaxBatch)}
	for _, p := range m.Signature.Inputs {
		c.Input = append(c.Input, &pb.ModelInput{Name: p.Name, DataType: configType(p.DType), Dims: dims(m, p)})
	}
	for _, p := range m.Signature.Outputs {
		c.Output = append(c.Output, &pb.ModelOutput{Name: p.Name, DataType: configType(p.DType), Dims: dims(m, p)})
	}
	return c
}
