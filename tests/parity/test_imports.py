"""Nothing at run time imports what only training and export need."""

import subprocess
import sys

_PROGRAM = """
import pkgutil, sys
import processors.infer
for module in pkgutil.walk_packages(processors.infer.__path__, "processors.infer."):
    __import__(module.name)
print(*sorted({"torch", "torchvision", "ultralytics", "onnx"} & set(sys.modules)))
"""


def test_inference_imports_neither_torch_nor_ultralytics() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
