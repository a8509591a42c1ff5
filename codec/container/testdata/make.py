"""Makes the fixtures with the programs that make such files; needs numpy and h5py."""

import gzip
import io
import struct
import subprocess
import zipfile
import zlib

import h5py
import numpy

weights = (numpy.arange(3000) * 7919 % 1009 / 1009 - 0.5).astype(numpy.float32)
weights[::3] = 0
text = b"".join(b"layer.%d.weight float32 [%d, %d]\n" % (i, i * i % 97, i % 13) for i in range(400))


def write(name, data):
    with open(name, "wb") as f:
        f.write(data)


numpy.savez_compressed("numpy.npz", w=weights, b=weights[:20])
with zipfile.ZipFile("python.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    z.writestr("graph.txt", text)
    z.writestr("tiny.txt", text[:100])
    z.writestr("stored.bin", weights.tobytes()[:1000], zipfile.ZIP_STORED)
    with z.open("streamed.bin", "w", force_zip64=True) as f:
        for i in range(0, 12000, 1000):
            f.write(weights.tobytes()[i : i + 1000])
write("unix.txt", text)
subprocess.run(["gzip", "-9", "-k", "-f", "unix.txt"], check=True)
subprocess.run(["zip", "-q", "-1", "-X", "unix.zip", "unix.txt"], check=True)
subprocess.run(["rm", "unix.txt"], check=True)
members = io.BytesIO()
for level in (1, 6):
    with gzip.GzipFile("model.onnx", "wb", level, members, 0) as f:
        f.write(text + weights.tobytes())
write("python.gz", members.getvalue())
write("python.zlib", zlib.compress(weights.tobytes(), 3))
with h5py.File("chunks.h5", "w") as f:
    f.create_dataset("w", data=weights.reshape(2, 1500), chunks=(1, 1500), compression="gzip")
    f.create_dataset("plain", data=numpy.arange(10))
