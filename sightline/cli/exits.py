"""Exit codes; scripts rely on them."""

from typing import Final

WORK_FAILED: Final = 1
WRONG_USE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130
