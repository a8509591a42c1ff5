"""tritonclient's gRPC client, unchanged, against the server at sys.argv[1]."""
import queue
import sys

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

MODEL = "acme/echo"
DTYPES = [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.uint16,
          np.int32, np.uint32, np.int64, np.uint64, np.bool_]


def fails(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except InferenceServerException as e:
        assert e.status() == "StatusCode." + code, (e.status(), e.message())
        assert e.message()
        return
    raise AssertionError("no failure")


def tensor(name, array):
    t = grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    t.set_data_from_numpy(array)
    return t


client = grpc.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready(MODEL) and client.is_model_ready(MODEL, "6.2.0")
assert not client.is_model_ready("acme/none")
assert client.get_server_metadata().name == "dunlin"
assert client.get_model_metadata(MODEL, as_json=True)["inputs"][0]["datatype"] == "FP32"
assert client.get_model_config(MODEL).config.input[3].data_type == 14, client.get_model_config(MODEL)
assert any(m.name == MODEL and m.state == "READY" for m in client.get_model_repository_index().models)

for dtype in DTYPES:
    array = (np.arange(6).reshape(3, 2) % 2).astype(dtype)
    for version in ("", "6.2.0"):
        for outputs in (None, [grpc.InferRequestedOutput("x")]):
            r = client.infer(MODEL, [tensor("x", array)], model_version=version, outputs=outputs, request_id="7")
            got = r.as_numpy("x")
            assert got.dtype == array.dtype and (got == array).all(), (dtype, got)
            assert r.get_response().id == "7" and r.get_response().model_version == "6.2.0"

words = client.infer(MODEL, [tensor("x", np.array([[b"ab", b"\xff\xd8"]], dtype=np.object_))])
assert words.as_numpy("x").tobytes() == b"ab|\xff\xd8"

big = np.random.default_rng(1).random((64, 4096), dtype=np.float32)
for packed in (None, "gzip", "deflate"):
    r = client.infer(MODEL, [tensor("x", big)], compression_algorithm=packed)
    assert (r.as_numpy("x") == big).all()

answers = queue.Queue()
client.start_stream(lambda result, error: answers.put((result, error)))
for name in (MODEL, "acme/none", MODEL):
    client.async_stream_infer(name, [tensor("x", np.int32([5]))])
first, second, third = (answers.get(timeout=60) for _ in range(3))
assert first[0].as_numpy("x")[0] == 5 and third[0].as_numpy("x")[0] == 5
assert "acme/none" in second[1].message()
client.stop_stream()

x = tensor("x", np.float32([1]))
fails("NOT_FOUND", client.infer, "acme/none", [x])
fails("NOT_FOUND", client.infer, MODEL, [x], model_version="9")
fails("INVALID_ARGUMENT", client.infer, MODEL, [x], outputs=[grpc.InferRequestedOutput("y")])
fails("UNIMPLEMENTED", client.infer, MODEL, [x], outputs=[grpc.InferRequestedOutput("x", class_count=3)])
fails("UNIMPLEMENTED", client.infer, MODEL, [x], sequence_id=4, sequence_start=True)
fails("DEADLINE_EXCEEDED", client.infer, "acme/slow", [x], timeout=1000)
fails("DEADLINE_EXCEEDED", client.infer, "acme/slow", [x], client_timeout=0.1)
fails("INTERNAL", client.infer, "acme/broken", [x])
fails("PERMISSION_DENIED", client.load_model, MODEL)
fails("UNIMPLEMENTED", client.get_system_shared_memory_status)
fails("NOT_FOUND", client.get_model_metadata, "acme/none")

stats = client.get_inference_statistics(MODEL).model_stats[0]
assert stats.inference_stats.success.count > 40 and stats.inference_stats.success.ns > 0
client.close()
print("passed")
