"""tritonclient's REST client, unchanged, against the server at sys.argv[1]."""
import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

MODEL = "acme/echo"
DTYPES = [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.uint16,
          np.int32, np.uint32, np.int64, np.uint64, np.bool_]


def fails(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except InferenceServerException as e:
        assert e.status() == str(status), (e.status(), e.message())
        assert e.message()
        return
    raise AssertionError("no failure")


def tensor(name, array, binary=True):
    t = http.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    t.set_data_from_numpy(array, binary_data=binary)
    return t


client = http.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready(MODEL) and client.is_model_ready(MODEL, "6.2.0")
assert not client.is_model_ready("acme/none")
assert client.get_server_metadata()["name"] == "dunlin"
assert client.get_model_metadata(MODEL, "6.2.0")["inputs"][0]["datatype"] == "FP32"
assert client.get_model_config(MODEL)["input"][0]["data_type"] == "TYPE_FP32"
assert any(m["name"] == MODEL and m["state"] == "READY" for m in client.get_model_repository_index())

for dtype in DTYPES:
    array = (np.arange(6).reshape(3, 2) % 2).astype(dtype)
    for version in ("", "6.2.0"):
        for outputs in (None, [http.InferRequestedOutput("x", binary_data=False)], [http.InferRequestedOutput("x")]):
            r = client.infer(MODEL, [tensor("x", array)], model_version=version, outputs=outputs, request_id="7")
            got = r.as_numpy("x")
            assert got.dtype == array.dtype and (got == array).all(), (dtype, got)
            assert r.get_response()["id"] == "7" and r.get_response()["model_version"] == "6.2.0"
    if dtype is not np.float16:
        got = client.infer(MODEL, [tensor("x", array, binary=False)]).as_numpy("x")
        assert got.dtype == array.dtype and (got == array).all(), (dtype, got)

both = client.infer(MODEL, [tensor("a", np.float32([1, np.nan])), tensor("b", np.int64([[2]]), binary=False)])
assert np.isnan(both.as_numpy("a")[1]) and both.as_numpy("b")[0, 0] == 2

for binary in (True, False):
    words = client.infer(MODEL, [tensor("x", np.array([["ab".encode(), b"\xc3\xa4"]], dtype=np.object_), binary)])
    assert words.as_numpy("x").tobytes() == b"ab|\xc3\xa4", words.as_numpy("x")

big = np.random.default_rng(1).random((64, 1024), dtype=np.float32)
for packed in ("gzip", "deflate"):
    r = client.infer(MODEL, [tensor("x", big)], request_compression_algorithm=packed, response_compression_algorithm=packed)
    assert (r.as_numpy("x") == big).all()

waiting = [client.async_infer(MODEL, [tensor("x", np.int32([i]))]) for i in range(20)]
assert [int(w.get_result().as_numpy("x")[0]) for w in waiting] == list(range(20))

x = tensor("x", np.float32([1]))
fails(404, client.infer, "acme/none", [x])
fails(404, client.infer, MODEL, [x], model_version="9")
fails(400, client.infer, MODEL, [x], outputs=[http.InferRequestedOutput("y")])
fails(501, client.infer, MODEL, [x], outputs=[http.InferRequestedOutput("x", class_count=3)])
fails(501, client.infer, MODEL, [x], sequence_id=4, sequence_start=True)
fails(504, client.infer, "acme/slow", [x], timeout=1000)
fails(500, client.infer, "acme/broken", [x])
fails(403, client.load_model, MODEL)
fails(403, client.unload_model, MODEL)
fails(501, client.get_system_shared_memory_status)
fails(501, client.get_trace_settings)
fails(501, client.get_log_settings)
fails(404, client.get_model_metadata, "acme/none")

stats = client.get_inference_statistics(MODEL)["model_stats"][0]
assert stats["inference_stats"]["success"]["count"] > 50 and stats["inference_stats"]["success"]["ns"] > 0
assert len(client.get_inference_statistics()["model_stats"]) >= 1
client.close()
print("passed")
