# mypy: disallow-subclassing-any=False
# torch is not installed where types are checked
"""The two networks of our own: a small EfficientNet-like picture classifier, and a perceptron over landmarks.

After Tan and Le, "EfficientNet" (2019): inverted residuals (MBConv) with squeeze-and-excitation, here narrow and
shrinking early, so that 380 x 380 stays cheap.
"""

import torch
from torch import Tensor, nn

# Expansion, output channels, stride, kernel, repeats.
_STAGES = ((1, 16, 2, 3, 1), (3, 24, 2, 3, 2), (4, 48, 2, 5, 2), (4, 96, 2, 3, 2))
_STEM, _LAST = 16, 256


class SmallEfficientNet(nn.Module):
    """Pictures (batch, 3, 380, 380) to logits (batch, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, _STEM, 3, 2)]
        width = _STEM
        for expansion, out, stride, kernel, repeats in _STAGES:
            for repeat in range(repeats):
                layers.append(_MBConv(width, out, stride if repeat == 0 else 1, kernel, expansion))
                width = out
        layers += [_conv(width, _LAST, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(_LAST, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.classifier(self.features(pictures))
        return logits


class LandmarkNet(nn.Module):
    """Normalised landmarks (batch, 42) as x0, y0, x1, y1, ... to logits (batch, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(42, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Dropout(0.1), nn.Linear(96, classes)
        )

    def forward(self, landmarks: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.layers(landmarks)
        return logits


class _Squeeze(nn.Module):
    """Scale each channel by a share made of the channels' means."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.share = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, reduced, 1), nn.SiLU(), nn.Conv2d(reduced, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.share(x))


class _MBConv(nn.Module):
    """Widen, filter each channel, squeeze and excite, narrow; added to the input where the shapes agree."""

    def __init__(self, width: int, out: int, stride: int, kernel: int, expansion: int) -> None:
        super().__init__()
        wide = width * expansion
        layers: list[nn.Module] = [_conv(width, wide, 1, 1)] if expansion > 1 else []
        layers += [_conv(wide, wide, kernel, stride, groups=wide), _Squeeze(wide, max(4, width // 4))]
        layers += [nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and width == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


def _conv(width: int, out: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out), nn.SiLU()
    )
