"""Mixed precision: products in bfloat16, parameters in float32."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def mixed_precision(device: torch.device, is_mixed: bool) -> AbstractContextManager[Any]:
    """Return what a forward pass runs in: products in bfloat16, or nothing special."""
    if not is_mixed:
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
