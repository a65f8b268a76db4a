"""Which GPU and which TensorRT this process would use, as NVIDIA's own libraries say."""

import ctypes
import re
from typing import Final

_NAME_BYTES: Final = 256
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


def gpu_name() -> str | None:
    """Return the first visible GPU's name and compute capability, such as `nvidia-a10-sm86`; None without a GPU."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    failed = (
        cuda.cuInit(0)
        or cuda.cuDeviceGet(ctypes.byref(device), 0)
        or cuda.cuDeviceGetName(name, _NAME_BYTES, device)
        or cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
        or cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    )
    if failed:
        return None
    plain = re.sub(r"[^a-z0-9]+", "-", name.value.decode(errors="replace").lower()).strip("-")
    return f"{plain}-sm{major.value}{minor.value}"


def tensorrt_version() -> str | None:
    """Return the version of the installed TensorRT 10 as one number, such as `101300`; None without one."""
    try:
        return str(ctypes.CDLL("libnvinfer.so.10").getInferLibVersion())
    except (OSError, AttributeError):
        return None
