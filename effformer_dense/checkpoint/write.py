"""Writing torch's files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch


def write_torch(content: Any, path: Path) -> None:
    """As ``torch.save``, which tells of a full disk as if the program were at fault.

    Raises:
        OSError: there is no room.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(buffer.getbuffer())
