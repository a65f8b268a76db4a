"""What a camera does to a scene: light, colour cast, blur, noise and compression."""

import cv2
import numpy as np

from demo_models.making.scene import Canvas, Picture


def photograph(rng: np.random.Generator, canvas: Canvas, *, tint: float = 0.10) -> tuple[Picture, float]:
    """Return the picture (uint8, BGR) that a random camera takes of a canvas (0..255), and how much it spoils, 0..1."""
    harm = rng.random(4) ** 1.5
    lit = _light(rng, canvas, tint)
    blurred = _blur(rng, lit, float(harm[0]))
    noisy = blurred + rng.normal(0.0, 1.0, blurred.shape).astype(np.float32) * np.float32(1.0 + 13.0 * harm[1])
    dimmed = (noisy - 128.0) * np.float32(1.0 - 0.45 * harm[2]) + 128.0 - np.float32(30.0 * harm[2])
    picture = np.clip(dimmed, 0, 255).astype(np.uint8)
    return _compress(picture, int(95 - 62 * harm[3])), float(harm.mean())


def _light(rng: np.random.Generator, canvas: Canvas, tint: float) -> Canvas:
    """Shine a coloured light from one side."""
    height, width = canvas.shape[:2]
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    ramp = np.float32(rng.uniform(0.75, 1.15)) + np.float32(slope) * (
        np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    )
    cast = np.exp(rng.normal(0, tint, 3)).astype(np.float32)
    return canvas * ramp[:, :, None] * cast


def _blur(rng: np.random.Generator, canvas: Canvas, harm: float) -> Canvas:
    """Blur by focus or by motion, in proportion to the picture's size."""
    reach = harm * max(canvas.shape[:2]) / 320
    if rng.random() < 0.5 or reach < 0.4:
        return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.3 + 1.4 * reach), dtype=np.float32)
    length = max(3, int(7 * reach) | 1)
    streak = np.zeros((length, length), np.float32)
    streak[length // 2] = 1.0 / length
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), float(rng.uniform(0, 180)), 1.0)
    kernel = cv2.warpAffine(streak, turn, (length, length))
    return np.asarray(cv2.filter2D(canvas, -1, kernel / kernel.sum()), dtype=np.float32)


def _compress(picture: Picture, quality: int) -> Picture:
    """Pass the picture through JPEG."""
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
