"""What a plain user of FastAPI writes to serve silero-vad with onnxruntime.

Run as: python fastapi.py MODEL PORT
"""

import sys

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
app = FastAPI()


class Window(BaseModel):
    input: list[list[float]]
    state: list[list[list[float]]]
    sr: int


@app.post("/json")
def infer(window: Window):
    speech, state = session.run(
        None,
        {
            "input": np.array(window.input, np.float32),
            "state": np.array(window.state, np.float32),
            "sr": np.array(window.sr, np.int64),
        },
    )
    return {"output": speech.tolist(), "state": state.tolist()}


@app.post("/raw")
async def infer_raw(request: Request):
    body = await request.body()
    samples = np.frombuffer(body, np.float32, 512).reshape(1, 512)
    state = np.frombuffer(body, np.float32, 256, offset=2048).reshape(2, 1, 128)
    speech, state = session.run(None, {"input": samples, "state": state, "sr": np.array(16000, np.int64)})
    return Response(speech.tobytes() + state.tobytes(), media_type="application/octet-stream")


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
