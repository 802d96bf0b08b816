"""Two wrong answers to each exercise of lesson 08, and a part of what its check says."""

BEFORE = ["cell-03", "cell-04"]

WRONG = {
    "08.1": [
        (
            "def careful_batches():\n"
            '    inputs = {"imagery": imagery[:8], "sites": site[:8]}\n'
            '    yield inputs, {"land_cover": land_cover[:8], "composition": composition[:8]}',
            "expected no findings, found error: inputs['sites']",
        ),
        (
            'careful_batches = ({"imagery": imagery[:8], "site": site[:8]}, land_cover[:8])',
            "expected a generator function, found tuple",
        ),
    ],
    "08.2": [
        ('rule = "shapes"', "found 'shapes'"),
        (
            'rule = contract.check(known, compiled(["site"]))',
            "expected the id of a rule as a string, found Report",
        ),
    ],
    "08.3": [
        (
            "validation = batches_of((site, land_cover))",
            "expected a finding on the validation data",
        ),
        ("validation = (site, land_cover)", "expected a tf.data.Dataset, found tuple"),
    ],
}
