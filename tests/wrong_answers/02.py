"""Two wrong answers to each exercise of lesson 02, and a part of what its check says."""

_RELIEF = (
    'paths = tiles.paths("relief", "train")\n'
    "relief = generators.row_flow(datagen, paths, target_size={}, seed=525)\n"
    'with_relief = generators.AlignedEpochs(flows_of("train") | {{"relief": relief}}, wrong)'
)
_HEAD = "def wrong(images, rows):\n    (a, b), targets = assemble_for('train')(images, rows)\n"

BEFORE = ["cell-03", "cell-28", "cell-28a"]

WRONG = {
    "02.1": [
        (
            "def nested(imagery, land_cover, vegetated):\n"
            "    return imagery, [land_cover, vegetated]",
            "found a list",
        ),
        (
            "def nested(imagery, land_cover, vegetated):\n"
            "    return (imagery, land_cover), vegetated",
            "expected a leaf inputs (2, 64, 64, 3)",
        ),
    ],
    "02.2": [
        (
            _HEAD + "    return (a, b, images['relief']), targets\n" + _RELIEF.format((64, 64)),
            "inputs[2]: expected shape (32, 32, 32, 3)",
        ),
        (
            _HEAD + "    return (a, images['relief'], b), targets\n" + _RELIEF.format((32, 32)),
            "inputs[1]: expected shape (32, 10)",
        ),
    ],
    "02.3": [
        (
            "def fixed_batches():\n"
            '    for imagery, rows in flows_of("validation")["imagery"]:\n'
            '        yield assemble_for("validation")({"imagery": imagery}, rows)',
            "the first call: expected 4 batches, found more",
        ),
        (
            "def fixed_batches():\n"
            '    flow = flows_of("validation")["imagery"]\n'
            "    for index in range(len(flow)):\n"
            "        imagery, rows = next(flow)\n"
            '        yield assemble_for("validation")({"imagery": imagery}, rows * 0 + index)',
            "pairs of imagery and spectral that belong, found",
        ),
    ],
}
