"""Makes a screenshot small: an image with a palette of its most frequent colours."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from playwright.sync_api import Page

_PIXELS = """async (source) => {
  const image = await createImageBitmap(await (await fetch(source)).blob())
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d")
  context.drawImage(image, 0, 0)
  const bytes = context.getImageData(0, 0, image.width, image.height).data
  const parts = []
  for (let at = 0; at < bytes.length; at += 32768) parts.push(String.fromCharCode(...bytes.subarray(at, at + 32768)))
  return [image.width, image.height, btoa(parts.join(""))]
}"""


def reduced(empty: Page, png: bytes, colours: int) -> bytes:
    """A PNG with at most this many colours, up to 256. Each other colour becomes the nearest of them.

    An empty page reads the pixels, since a browser knows every kind of PNG.
    """
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    width, height, encoded = empty.evaluate(_PIXELS, source)
    pixels = np.frombuffer(base64.b64decode(encoded), np.uint8).reshape(-1, 4)[:, :3].astype(np.int64)
    numbers = pixels @ np.array([1 << 16, 1 << 8, 1], np.int64)
    found, of_pixel, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    all_colours = np.stack([found // 65536, found // 256 % 256, found % 256], axis=1)
    palette = all_colours[np.argsort(-counts, kind="stable")[:colours]]
    nearest = ((all_colours[:, None, :] - palette[None, :, :]) ** 2).sum(axis=2).argmin(axis=1)
    indices = nearest[of_pixel].astype(np.uint8).reshape(height, width)
    rows = np.hstack([np.zeros((height, 1), np.uint8), indices]).tobytes()  # each row begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits a pixel, which are indices of a palette
    chunks = ((b"IHDR", header), (b"PLTE", palette.astype(np.uint8).tobytes()), (b"IDAT", zlib.compress(rows, 9)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in (*chunks, (b"IEND", b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
