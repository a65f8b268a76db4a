"""Trains the two classifiers with plain torch: portraits, and landmarks of hands."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from demo_models.making import faces, landmarks
from demo_models.making.networks import LandmarkNet, SmallEfficientNet
from demo_models.making.scene import Picture

SIZE = 380
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
_BATCH = 32


@dataclass(frozen=True)
class Cycle:
    """Some epochs in which the learning rate rises to `rate` and falls to nothing."""

    epochs: int
    rate: float


def train_faces(work: Path, scenes: int, cycles: Sequence[Cycle]) -> nn.Module:
    """Draw portraits, train the classifier on them and return it; the last weights are kept under `work`.

    A cycle whose weights are there is used again.
    """
    pictures, classes = _portraits(work, scenes)
    torch.manual_seed(0)
    net = SmallEfficientNet(len(faces.LABELS))
    for number, cycle in enumerate(cycles):
        kept = work / f"demo-deepfake-{number}.pt"
        if kept.exists():
            net.load_state_dict(torch.load(kept, weights_only=True))
        else:
            _train_cycle(net, pictures, classes, cycle, np.random.default_rng(number))
            torch.save(net.state_dict(), kept)
    torch.save(net.state_dict(), work / "demo-deepfake.pt")
    return net.eval()


def _train_cycle(
    net: nn.Module, pictures: Picture, classes: npt.NDArray[np.int64], cycle: Cycle, order: np.random.Generator
) -> None:
    scenes = len(pictures)
    optimizer, schedule = _optimizer(net, cycle.rate, cycle.epochs * (scenes // _BATCH))
    for epoch in range(cycle.epochs):
        wrong = 0
        for batch in order.permutation(scenes)[: scenes // _BATCH * _BATCH].reshape(-1, _BATCH):
            x = to_input(_vary(order, pictures[np.sort(batch)]))
            wrong += _step(net, x, torch.from_numpy(classes[np.sort(batch)]), optimizer, schedule)
        print(f"portraits: epoch {epoch + 1}/{cycle.epochs}, wrong {wrong / scenes:.3f}", flush=True)


def train_landmarks(work: Path, count: int = 60_000, epochs: int = 14) -> nn.Module:
    """Train the gesture classifier on drawn landmarks and return it; the weights are kept under `work`."""
    rows, classes, _ = landmarks.sample(0, count, unseen=False)
    torch.manual_seed(0)
    net = LandmarkNet(len(landmarks.LABELS))
    order = np.random.default_rng(0)
    batch_size = 256
    optimizer, schedule = _optimizer(net, 3e-3, epochs * (count // batch_size))
    for _ in range(epochs):
        for batch in order.permutation(count)[: count // batch_size * batch_size].reshape(-1, batch_size):
            _step(net, torch.from_numpy(rows[batch]), torch.from_numpy(classes[batch]), optimizer, schedule)
    torch.save(net.state_dict(), work / "demo-gesture.pt")
    return net.eval()


def prepare(picture_bgr: Picture) -> Picture:
    """Return the picture as the classifier's card says: shorter side to 380 (Pillow, bilinear), centre cut, RGB."""
    image = Image.fromarray(cv2.cvtColor(picture_bgr, cv2.COLOR_BGR2RGB))
    width, height = image.size
    share = SIZE / min(width, height)
    resized = image.resize((round(width * share), round(height * share)), Image.Resampling.BILINEAR)
    left, top = (resized.width - SIZE) // 2, (resized.height - SIZE) // 2
    return np.asarray(resized.crop((left, top, left + SIZE, top + SIZE)), dtype=np.uint8)


def to_input(pictures_rgb: Picture) -> Tensor:
    """Return (batch, 380, 380, 3) uint8 as the network's input."""
    x = torch.from_numpy(pictures_rgb).permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


def _step(
    net: nn.Module,
    x: Tensor,
    truth: Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> int:
    """Learn from one batch and return how many were wrong before."""
    net.train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(x).float()
    loss = nn.functional.cross_entropy(logits, truth, label_smoothing=0.02)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optimizer.step()
    schedule.step()
    return int((logits.argmax(dim=1) != truth).sum())


def _optimizer(
    net: nn.Module, rate: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.01)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)


def _vary(rng: np.random.Generator, pictures: Picture) -> Picture:
    """Mirror and move a batch at random, so that each epoch shows new pictures."""
    moved = np.roll(pictures, tuple(int(step) for step in rng.integers(-12, 13, 2)), axis=(1, 2))
    return np.ascontiguousarray(moved[:, :, ::-1] if rng.random() < 0.5 else moved)


def _portraits(work: Path, scenes: int) -> tuple[Picture, npt.NDArray[np.int64]]:
    """Return the training pictures (count, 380, 380, 3) and their classes; drawn once, then read back."""
    place = work / f"portraits-{scenes}.npz"
    if not place.exists():
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            drawn = list(pool.map(_portrait, range(scenes), chunksize=16))
        np.savez(place, pictures=np.stack([one[0] for one in drawn]), classes=np.array([one[1] for one in drawn]))
    stored = np.load(place)
    return stored["pictures"], stored["classes"]


def _portrait(seed: int) -> tuple[Picture, int]:
    cv2.setNumThreads(1)
    scene = faces.draw(seed)
    return prepare(scene.picture_bgr), faces.LABELS.index(scene.label)
