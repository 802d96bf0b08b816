"""Wrong answers to the exercises of lesson 09, each with words of what its check must say."""

BEFORE = ("options", "streams", "files", "shared", "make-batch")

WRONG = {
    "09.1": [
        (
            "def bytes_in_memory(count, shape, dtype):\n    return count * int(np.prod(shape))",
            "expected 23592960, found 5898240",
        ),
        (
            "def bytes_in_memory(count, shape, dtype):\n"
            "    return count * shape[0] * shape[1] * np.dtype(dtype).itemsize",
            "expected 5898240, found 1966080",
        ),
    ],
    "09.2": [
        (
            "masks = Images(tiles.paths('cover', 'train'), (64, 64, 1))\n"
            "def make_batch_with_mask(rows, epoch):\n"
            "    inputs, outputs = make_batch(rows, epoch)\n"
            "    return inputs, outputs | {'cover': masks[rows]}",
            "found the mask as stored",
        ),
        (
            "with_mask = files | {'cover': Images(tiles.paths('cover', 'train'), (64, 64, 1))}\n"
            "def make_batch_with_mask(rows, epoch):\n"
            "    images = {name: source[rows] for name, source in with_mask.items()}\n"
            "    return assemble(shared(images, rows, epoch), rows)",
            "inputs: expected a dict of ['imagery', 'relief'], found ['cover',",
        ),
    ],
    "09.3": [
        (
            "def noise(rows, epoch):\n"
            "    return np.random.normal(0, 5, (len(rows), 64, 64, 3)).astype('float32')",
            "the same rows and epoch again",
        ),
        (
            "def noise(rows, epoch):\n"
            "    random = np.random.default_rng([525, epoch, rows[0]])\n"
            "    return random.normal(0, 5, (len(rows), 64, 64, 3)).astype('float32')",
            "rows 100 and 7 without row 3",
        ),
    ],
}
