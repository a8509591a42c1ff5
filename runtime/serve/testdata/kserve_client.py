"""KServe's REST and gRPC clients, unchanged, against the servers at sys.argv[1] and sys.argv[2]."""
import asyncio
import sys

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

MODEL = "acme/echo"
DTYPES = {"FP32": np.float32, "FP64": np.float64, "INT8": np.int8, "UINT8": np.uint8, "INT16": np.int16, "UINT16": np.uint16,
          "INT32": np.int32, "UINT32": np.uint32, "INT64": np.int64, "UINT64": np.uint64, "BOOL": np.bool_}


def request(datatype, array, binary, outputs=None):
    t = InferInput("x", list(array.shape), datatype)
    t.set_data_from_numpy(array, binary_data=binary)
    return InferRequest(MODEL, [t], request_id="7", request_outputs=outputs)


async def rest(base):
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(base) and await client.is_server_ready(base)
        assert await client.is_model_ready(base, MODEL)
        assert not await client.is_model_ready(base, "acme/none")
        for datatype, dtype in DTYPES.items():
            array = (np.arange(6).reshape(3, 2) % 2).astype(dtype)
            for binary in (True, False):
                for outputs in (None, [RequestedOutput("x", parameters={"binary_data": True})]):
                    r = await client.infer(base, request(datatype, array, binary, outputs), model_name=MODEL)
                    got = r.outputs[0].as_numpy()
                    assert got.dtype == array.dtype and (got == array).all(), (datatype, binary, got)
                    assert r.id == "7" and r.model_name == MODEL
        half = np.float16([[0.5, 2]])
        r = await client.infer(base, request("FP16", half, True, [RequestedOutput("x", parameters={"binary_data": True})]), model_name=MODEL)
        assert (r.outputs[0].as_numpy() == half).all()
        plain = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}
        r = await client.infer(base, plain, model_name=MODEL)
        assert r.outputs[0].data == [1, 2]
        r = await client.infer(base, plain, model_name=MODEL + "/versions/6.2.0")
        assert r.outputs[0].data == [1, 2]
        try:
            await client.infer(base, plain, model_name="acme/none")
        except httpx.HTTPStatusError as e:
            assert e.response.status_code == 404 and "acme/none" in str(e)
        else:
            raise AssertionError("no failure")


async def rpc(address):
    async with InferenceGRPCClient(address) as client:
        assert await client.is_server_live() and await client.is_server_ready()
        assert await client.is_model_ready(MODEL)
        assert not await client.is_model_ready("acme/none")
        for datatype, dtype in DTYPES.items():
            array = (np.arange(6).reshape(3, 2) % 2).astype(dtype)
            for binary in (True, False):
                r = await client.infer(request(datatype, array, binary))
                got = r.outputs[0].as_numpy()
                assert got.dtype == array.dtype and (got == array).all(), (datatype, binary, got)
                assert r.id == "7" and r.model_version == "6.2.0"
        half = np.float16([[0.5, 2]])
        r = await client.infer(request("FP16", half, True))
        assert (r.outputs[0].as_numpy() == half).all()
        t = InferInput("x", [1], "FP32", data=[1.0])
        try:
            await client.infer(InferRequest("acme/none", [t]))
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.NOT_FOUND, e.code()
        else:
            raise AssertionError("no failure")


asyncio.run(rest("http://" + sys.argv[1]))
asyncio.run(rpc(sys.argv[2]))
print("passed")
