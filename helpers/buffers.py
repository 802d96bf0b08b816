"""Memory for batches that is used again, batch after batch.

A batch of pictures is megabytes. Asked from the system and given back for each batch, it can cost
as much time as the work on it: the system clears each page anew (a *page fault*). `empty` hands
out memory that nobody else holds any longer.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from typing import Any

import numpy as np

__all__ = ["empty"]

# TensorFlow takes an array without copying it where its memory starts at a multiple of this
# (tensorflow/python/lib/core/py_func.cc, EIGEN_MAX_ALIGN_BYTES).
_ALIGNMENT = 64

# As many as a pipeline of a few pictures a sample holds at a time: some being filled by each core,
# some waiting, some being consumed.
_KEPT_AT_MOST = 16 * (os.cpu_count() or 1)

_owners: list[np.ndarray] = []
_lock = threading.Lock()


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of this shape and dtype, as ``numpy.empty``: its values are whatever.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    dtype : dtype
        Numbers only.

    Returns
    -------
    numpy.ndarray
        The caller's alone for as long as anything refers to it, a view or a tensor included.

    Examples
    --------
    >>> first = empty((32, 64, 64, 3), "float32")
    >>> address = first.ctypes.data
    >>> view = first[0]
    >>> del first
    >>> empty((32, 64, 64, 3), "float32").ctypes.data == address  # the view still holds it
    False
    >>> del view
    >>> empty((32, 64, 64, 3), "float32").ctypes.data == address
    True
    """
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    with _lock:
        owner = _free_owner(nbytes + _ALIGNMENT)
    start = -owner.ctypes.data % _ALIGNMENT
    # Views of views all refer to the owner itself, so it counts as held until the last is gone.
    return owner[start : start + nbytes].view(dtype).reshape(shape)


def _free_owner(nbytes: int) -> np.ndarray:
    for place in range(len(_owners)):
        # Two references: the list's, and that of this call's argument.
        if _owners[place].nbytes == nbytes and sys.getrefcount(_owners[place]) == 2:
            return _owners[place]
    owner = np.empty(nbytes, np.uint8)
    _owners.append(owner)
    # What falls out of the list lives on for as long as somebody holds it.
    del _owners[:-_KEPT_AT_MOST]
    return owner
