"""Run by each kernel before its first cell; see `lesson_kernels`. Leaves no name behind."""


def _begin(file: str) -> None:
    import sys
    from pathlib import Path

    folder = str(Path(file).parent)
    sys.path.insert(0, folder)
    try:
        import lesson_kernels
    finally:
        sys.path.remove(folder)
    lesson_kernels.begin()


_begin(__file__)
del _begin
