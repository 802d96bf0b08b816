"""TensorFlow's start-up notices are dropped, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from helpers._startup import is_startup_notice

ROOT = Path(__file__).resolve().parents[1]

NOTICES = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795340188.050388    3346 port.cc:153] oneDNN custom operations are on. You may",
    "I0000 00:00:1795340188.051308    3346 cudart_stub.cc:31] Could not find cuda drivers on your",
    "I0000 00:00:1795340188.791495    3346 cpu_feature_guard.cc:227] This TensorFlow binary is",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow",
    "E0000 00:00:1795340193.827460    3346 cuda_platform.cc:52] failed call to cuInit: INTERNAL: "
    "CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)",
    "E0000 00:00:1745340193.827460    3346 cuda_dnn.cc:8579] Unable to register cuDNN factory:",
    "W0000 00:00:1745340193.827460    3346 computation_placer.cc:177] computation placer already",
    "I0000 00:00:1795340193.916313    3346 generator_dataset_op.cc:213] Memory patch applied: M",
    "W0000 00:00:1795340193.916313    3346 local_rendezvous.cc:412] Local rendezvous is aborting "
    "with status: OUT_OF_RANGE: End of sequence",
    "2025-11-22 09:36:28.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are",
    "2025-11-22 09:36:28.123456: I external/local_xla/xla/tsl/cuda/cudart_stub.cc:31] Could not",
]
# Lines that must reach the reader, though they look much the same.
MESSAGES = [
    "E0000 00:00:1795340188.050388    3346 port.cc:153] out of memory",
    "E0000 00:00:1795340193.827460    3346 cuda_platform.cc:52] failed call to cuInit: INTERNAL: "
    "CUDA error: Failed call to cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)",
    "W0000 00:00:1795340193.958217    3346 local_rendezvous.cc:412] Local rendezvous is aborting "
    "with status: INVALID_ARGUMENT: Input to reshape is a tensor with 3 values",
    "F0000 00:00:1795340193.958217    3346 cpu_feature_guard_check.cc:12] this build needs AVX",
    "keras/src/trainers/epoch_iterator.py:160: UserWarning: Your input ran out of data",
    "oneDNN custom operations are on",
    "",
]


@pytest.mark.parametrize("line", NOTICES)
def test_notice_is_known(line):
    assert is_startup_notice(line.encode())


@pytest.mark.parametrize("line", MESSAGES)
def test_message_is_not_taken_for_a_notice(line):
    assert not is_startup_notice(line.encode())


@pytest.fixture
def package(tmp_path):
    """Write a stand-in for TensorFlow that writes to descriptor 2 as its native code does."""

    def write(*lines: str, then: str = "", at_devices: str = "") -> Path:
        source = f"""
            import os
            os.write(2, {("".join(line + chr(10) for line in lines)).encode()!r})
            {then}
            class config:
                def list_physical_devices():
                    os.write(2, {at_devices.encode()!r})
        """
        (tmp_path / "tensorflow").mkdir()
        (tmp_path / "tensorflow" / "__init__.py").write_text(textwrap.dedent(source))
        return tmp_path

    return write


def run(code: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess:
    """Run code in a fresh Python that finds the helpers, and the stand-in if there is one."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    paths = [str(ROOT)] if folder is None else [str(folder), str(ROOT)]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), **variables}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_notices_are_dropped(package):
    folder = package(*NOTICES, "unknown native line", *MESSAGES, at_devices=NOTICES[5] + "\n")
    done = run("import helpers, tensorflow; print('imported')", folder)
    assert done.stdout == "imported\n"
    assert done.stderr.splitlines() == ["unknown native line", *MESSAGES]


def test_python_warnings_pass(package):
    folder = package(NOTICES[0], then="import warnings; warnings.warn('mind the gap')")
    done = run("import helpers, tensorflow", folder)
    assert "UserWarning: mind the gap" in done.stderr
    assert "absl" not in done.stderr


def test_after_the_import_nothing_is_held_back(package):
    folder = package(NOTICES[0])
    done = run(
        f"""
        import helpers, tensorflow, os
        os.write(2, {NOTICES[1].encode()!r})
        """,
        folder,
    )
    assert done.stderr == NOTICES[1]


def test_failing_import_is_unchanged(package):
    folder = package(NOTICES[0], "cannot load library", then="raise ImportError('no such library')")
    done = run(
        """
        import helpers, os
        for attempt in range(2):
            try:
                import tensorflow
            except ImportError as error:
                print(repr(error))
        os.write(2, b"descriptor 2 is itself again\\n")
        """,
        folder,
    )
    assert done.stdout == "ImportError('no such library')\n" * 2
    expected = ["cannot load library"] * 2 + ["descriptor 2 is itself again"]
    assert done.stderr.splitlines() == expected


def test_failing_device_list_does_not_fail_the_import(package):
    folder = package(then="")
    init = folder / "tensorflow" / "__init__.py"
    init.write_text(
        "class config:\n    def list_physical_devices(): raise RuntimeError('driver')\n"
    )
    done = run("import helpers, tensorflow; print('imported')", folder)
    assert (done.stdout, done.stderr) == ("imported\n", "")


@pytest.mark.parametrize(
    "obstacle",
    [
        "os.close(2)",
        "sys.stderr = None",
        "sys.stderr.close()",
        "tempfile.tempdir = '/no/such/folder'",
    ],
)
def test_import_works_where_nothing_can_be_held_back(package, obstacle):
    folder = package(then="print('imported')")
    (folder / "tensorflow" / "__init__.py").write_text("print('imported')")
    done = run(f"import os, sys, tempfile, helpers\n{obstacle}\nimport tensorflow", folder)
    assert done.stdout == "imported\n"
    assert done.returncode in (0, 120)  # 120: Python could not flush the closed stream at its end


@pytest.mark.parametrize(("own", "expected"), [(None, "1"), ("2", "2"), ("0", "0")])
def test_own_log_level_wins(own, expected):
    code = "import helpers, os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    variables = {} if own is None else {"TF_CPP_MIN_LOG_LEVEL": own}
    assert run(code, **variables).stdout.strip() == expected


def test_level_0_shows_everything(package):
    folder = package(*NOTICES)
    done = run("import helpers, tensorflow", folder, TF_CPP_MIN_LOG_LEVEL="0")
    assert done.stderr.splitlines() == NOTICES


def test_tensorflow_imported_before_is_left_alone(package):
    folder = package()
    code = """
        import sys, tensorflow
        before = list(sys.meta_path)
        import helpers
        print(before == sys.meta_path)
    """
    assert run(code, folder).stdout == "True\n"


def test_helpers_import_neither_tensorflow_nor_matplotlib():
    code = "import helpers, sys; print({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules))"
    assert run(code).stdout == "set()\n"


def test_in_a_kernel(package, monkeypatch):
    folder = package(NOTICES[0], "unknown native line", NOTICES[3])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # with it, a kernel leaves descriptor 2 alone
    cells = [
        "import helpers",
        "import tensorflow",
        # A kernel hands on what it finds on descriptor 2 with some delay.
        "import os, time; _ = os.write(2, b'a later line\\n'); time.sleep(0.5)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    NotebookClient(notebook).execute(stderr=subprocess.DEVNULL)
    printed = [
        [output.text for output in cell.outputs if output.get("name") == "stderr"]
        for cell in notebook.cells
    ]
    assert printed[0] == []
    assert "".join(printed[1] + printed[2]) == "unknown native line\na later line\n"


def test_tensorflow_itself():
    """The real import is quiet, and devices and threads can still be chosen after it."""
    code = """
        import helpers, tensorflow as tf
        tf.config.threading.set_inter_op_parallelism_threads(2)
        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_visible_devices([processor])
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(processor, two)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        print(strategy.num_replicas_in_sync, tf.config.threading.get_inter_op_parallelism_threads())
        print(tf.constant([1, 2]).numpy().sum())
    """
    done = run(code)
    assert done.stdout == "2 2\n3\n"
    assert done.stderr == ""
