"""Numbers within a tolerance, and nothing else."""

import pytest
import tolerance


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("loss 2.07 → 1.31", "loss 2.07 → 1.31"),
        ("loss 2.07 → 1.31", "loss 2.09 → 1.30"),
        ("{'loss': 0.523, 'epochs': 2}", "{'loss': 0.527, 'epochs': 2}"),
        ("3.1 times as fast", "3.12 times as fast"),
        ("-0.50", "-0.505"),
        ("1.0e-05", "1.01e-05"),
        ("1,440 pairs", "1,450 pairs"),
        ("9.98  a\n8.00  b", "10.02  a\n8.00  b"),  # a column more
        ("        loss\nfirst   9.99\nlast    1.00", "        loss\nfirst  10.01\nlast    1.00"),
        ("nan", "nan"),
        ("0.0 of 255", "0.0 of 255"),
        ("98 %", "99 %"),
    ],
)
def test_good_pairs(stored, new):
    assert tolerance.difference(stored, new, 2) == ""


@pytest.mark.parametrize(
    ("stored", "new", "said"),
    [
        ("loss 2.07", "loss 2.17", "stored 2.07, now 2.17"),
        ("loss 2.07", "los 2.07", "now 'los 2.07'"),
        ("loss 2.07", "loss 2.07 ", "line 1"),
        ("loss 2.07", "loss -2.07", "200.0 % apart"),
        ("loss 0.0", "loss 0.001", "100.0 % apart"),
        ("loss 2.07", "loss nan", "now 'loss nan'"),
        ("loss inf", "loss 9", "now 'loss 9'"),
        ("a 1 b 2", "a 1", "now 'a 1'"),
        ("a 1\nb 2", "a 1", "line 2: stored 'b 2', now nothing"),
        ("a 1", "a 1\nb 2", "line 2: stored nothing, now 'b 2'"),
        ("float32 1.0", "float16 1.0", "now 'float16 1.0'"),
        ("x1 2.0", "x2 2.0", "now 'x2 2.0'"),
        ("version 2.21.0", "version 2.21.1", "now 'version 2.21.1'"),
        ("1e-05", "1e-04", "90.0 % apart"),
        ("composition 2.0, cover 1.0", "cover 2.0, composition 1.0", "now 'cover"),
        ("480 of 480", "479 of 400", "16.7 % apart"),
        ("loss 2.07 # a", "loss 2.07 # b", "line 1"),
        ("#0072b2 1.0", "#d55e00 1.0", "line 1"),
        ("0.5 0.6", "0.6 0.5", "16.7 % apart"),
        ("True 1.0", "False 1.0", "now 'False 1.0'"),
    ],
)
def test_bad_pairs(stored, new, said):
    found = tolerance.difference(stored, new, 2)
    assert found
    assert said in found


def test_the_limit_is_of_the_larger_number():
    assert tolerance.difference("98", "100", 2) == ""
    assert tolerance.difference("97.9", "100", 2) != ""
    assert tolerance.difference("100", "98", 2) == ""


@pytest.mark.parametrize("tags", [["within-2%"], ["starter", "within-0.5%"], ["within-60%"]])
def test_tags(tags):
    assert tolerance.percent_of(tags) > 0


@pytest.mark.parametrize(
    "tags", [["within-0%"], ["within-61%"], ["within-2"], ["within 2%"], ["within-1%", "within-2%"]]
)
def test_tags_that_cannot_be(tags):
    with pytest.raises(ValueError, match="expected one like 'within-2%'"):
        tolerance.percent_of(tags)
