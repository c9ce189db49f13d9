"""What pictures of detections and of segmentation maps have in common."""

from __future__ import annotations

#: Pictures below this height are enlarged where nothing depends on their size.
MIN_DRAWN_HEIGHT_PX = 480


def enlargement(height: int) -> int:
    """How many times as large a picture of ``height`` px is drawn, so that small ones can be seen and captions read."""
    return max(1, round(MIN_DRAWN_HEIGHT_PX / height))
