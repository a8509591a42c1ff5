"""Makes the pictures and the golden inputs beside it, with Pillow and NumPy:

    pip install pillow==13.0.0 numpy==2.4.6 && python make.py

Goldens are float32, little endian, row major, of the shapes that are printed;
the metadata that asks for each stands in golden_test.go.
"""
import numpy as np
from PIL import Image, ImageDraw

W, H = 97, 61
rng = np.random.default_rng(7)
y, x = np.mgrid[0:H, 0:W]
sky = np.stack([40 + 1.5 * x, 90 + 1.2 * y + 20 * np.sin(x / 9), 220 - 2.0 * y], -1)
img = Image.fromarray(np.clip(sky + rng.normal(0, 4, sky.shape), 0, 255).astype(np.uint8))
d = ImageDraw.Draw(img)
d.ellipse((12, 8, 44, 40), fill=(230, 60, 30))
d.polygon([(50, 58), (70, 10), (92, 55)], fill=(20, 120, 60))
d.line((0, 50, 96, 46), fill=(250, 250, 250), width=3)
d.text((48, 2), "dunlin", fill=(0, 0, 0))
img.save("picture.png", optimize=True)
img.save("picture.jpg", quality=92, subsampling=0)
img.save("subsampled.jpg", quality=92, subsampling=2, progressive=True)
img.save("picture.webp", quality=92, method=6)
img.save("lossless.webp", lossless=True)
img.convert("L").save("gray.jpg", quality=95)
alpha = np.dstack([np.asarray(img), np.where(x + y < 80, 255, 128 + 0 * x).astype(np.uint8)])
Image.fromarray(alpha, "RGBA").save("alpha.png", optimize=True)


def out(name, a):
    np.ascontiguousarray(a, "<f4").tofile(name + ".f32")
    print(name, a.shape)


def load(name, mode="RGB"):
    return Image.open(name).convert(mode)


def chw(im):
    return np.asarray(im, np.float32).transpose(2, 0, 1)


mean = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
std = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
for name in ["picture.png", "picture.jpg", "subsampled.jpg", "picture.webp", "lossless.webp"]:
    im = load(name).resize((32, 24), Image.BILINEAR)
    out(name.replace(".", "-") + "-imagenet", ((chw(im) / 255 - mean) / std)[None])

out("bicubic-bgr-nhwc", np.asarray(load("picture.png").resize((40, 30), Image.BICUBIC), np.float32)[None, :, :, ::-1])
out("nearest", chw(load("picture.png").resize((31, 23), Image.NEAREST))[None])

full = np.asarray(load("picture.png"), np.float32)


def taps(n, size):  # two taps about the centre of a pixel, edges repeated
    at = (np.arange(size) + 0.5) * n / size - 0.5
    lo = np.floor(at).astype(int)
    f = at - lo
    return np.clip(lo, 0, n - 1), np.clip(lo + 1, 0, n - 1), f


y0, y1, fy = taps(H, 24)
x0, x1, fx = taps(W, 32)
rows = full[y0] * (1 - fy)[:, None, None] + full[y1] * fy[:, None, None]
out("linear", (rows[:, x0] * (1 - fx)[:, None] + rows[:, x1] * fx[:, None]).transpose(2, 0, 1)[None])

fit = np.full((32, 32, 3), 114, np.float32)
small = load("picture.png").resize((32, round(61 * 32 / 97)), Image.BILINEAR)
fit[: small.height] = np.asarray(small)
out("fit", fit.transpose(2, 0, 1)[None] / 127.5 - 1)
box = np.full((32, 32, 3), 114, np.float32)
top = (32 - small.height) // 2
box[top : top + small.height] = np.asarray(small)
out("letterbox", box.transpose(2, 0, 1)[None])
left = (97 - 61) // 2
out("crop", chw(load("picture.png").crop((left, 0, left + 61, 61)).resize((24, 24), Image.BILINEAR))[None])

out("height", chw(load("picture.png").resize((round(97 * 48 / 61), 48), Image.BILINEAR))[None])
out("gray", np.asarray(load("gray.jpg", "L"), np.float32)[None, None])
out("luma", np.asarray(load("picture.png", "L"), np.float32)[None, None])
v = full / 255
lin = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
out("gamma", lin.transpose(2, 0, 1)[None])
out("alpha-straight", chw(Image.open("alpha.png"))[None])
a = alpha[..., 3:] / 255.0
out("alpha-black", np.rint(alpha[..., :3] * a).transpose(2, 0, 1)[None].astype(np.float32))
out("narrow-range", (16 + full / 255 * 219).transpose(2, 0, 1)[None])
