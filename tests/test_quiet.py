"""TensorFlow's start-up notices are dropped, and nothing else is."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import lesson_kernels
import nbformat
import notebook_checks as checks
import pytest
from jupyter_client.manager import start_new_kernel
from lesson_kernels import is_startup_notice
from nbclient import NotebookClient

TOOLS = Path(lesson_kernels.__file__).parent

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
    "F0000 00:00:1795340193.958217    3346 cpu_feature_guard.cc:12] this build needs AVX",
    "keras/src/trainers/epoch_iterator.py:160: UserWarning: Your input ran out of data",
    "oneDNN custom operations are on",
    "",
]


@pytest.mark.parametrize("line", NOTICES)
def test_notice_is_known(line):
    assert is_startup_notice(line)


@pytest.mark.parametrize("line", MESSAGES)
def test_message_is_not_taken_for_a_notice(line):
    assert not is_startup_notice(line)


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


QUIET = "import lesson_kernels; lesson_kernels.begin()\n"


def run(code: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess:
    """Run code in a fresh Python that finds the tools, and the stand-in if there is one."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    paths = [str(TOOLS)] if folder is None else [str(folder), str(TOOLS)]
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
    done = run(QUIET + "import tensorflow; print('imported')", folder)
    assert done.stdout == "imported\n"
    assert done.stderr.splitlines() == ["unknown native line", *MESSAGES]


def test_python_warnings_pass(package):
    folder = package(NOTICES[0], then="import warnings; warnings.warn('mind the gap')")
    done = run(QUIET + "import tensorflow", folder)
    assert "UserWarning: mind the gap" in done.stderr
    assert "absl" not in done.stderr


def test_after_the_import_nothing_is_held_back(package):
    folder = package(NOTICES[0])
    done = run(
        f"{QUIET}import tensorflow, os; os.write(2, {NOTICES[1].encode()!r})",
        folder,
    )
    assert done.stderr == NOTICES[1]


def test_failing_import_is_unchanged(package):
    folder = package(NOTICES[0], "cannot load library", then="raise ImportError('no such library')")
    done = run(
        """
        import lesson_kernels, os
        lesson_kernels.begin()
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
    done = run(QUIET + "import tensorflow; print('imported')", folder)
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
    done = run(f"{QUIET}import os, sys, tempfile\n{obstacle}\nimport tensorflow", folder)
    assert done.stdout == "imported\n"
    assert done.returncode in (0, 120)  # 120: Python could not flush the closed stream at its end


@pytest.mark.parametrize(("own", "expected"), [(None, "1"), ("2", "2"), ("0", "0")])
def test_own_log_level_wins(own, expected):
    code = QUIET + "import os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    variables = {} if own is None else {"TF_CPP_MIN_LOG_LEVEL": own}
    assert run(code, **variables).stdout.strip() == expected


def test_level_0_shows_everything(package):
    folder = package(*NOTICES)
    done = run(QUIET + "import tensorflow", folder, TF_CPP_MIN_LOG_LEVEL="0")
    assert done.stderr.splitlines() == NOTICES


def test_tensorflow_imported_before_is_left_alone(package):
    folder = package()
    code = """
        import sys, tensorflow
        before = list(sys.meta_path)
        import lesson_kernels
        lesson_kernels.begin()
        print(before == sys.meta_path)
    """
    assert run(code, folder).stdout == "True\n"


def test_what_begins_loads_neither_tensorflow_nor_matplotlib():
    code = (
        QUIET + "import sys; print({'tensorflow', 'keras', 'matplotlib', 'numpy'} & {*sys.modules})"
    )
    assert run(code).stdout == "set()\n"


def test_importing_the_helpers_does_nothing():
    code = """
        import os, sys
        before = set(sys.modules), list(sys.meta_path), dict(os.environ)
        import helpers
        print(set(sys.modules) - before[0], [sys.meta_path, dict(os.environ)] == [*before[1:]])
    """
    done = run(code, Path(lesson_kernels.ROOT))
    assert done.stdout == "{'helpers'} True\n"


def run_cells(*codes: str) -> list[nbformat.NotebookNode]:
    """Run cells in a fresh kernel, and return them."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    NotebookClient(notebook).execute(stderr=subprocess.DEVNULL)
    return notebook.cells


def printed(cell: nbformat.NotebookNode, name: str = "stdout") -> str:
    return "".join(output.text for output in cell.outputs if output.get("name") == name)


@pytest.fixture
def own_startup(tmp_path, monkeypatch):
    """Let the user have a start-up file, in a folder with a space in its name."""
    own = tmp_path / "a folder" / "own.py"
    own.parent.mkdir()
    own.write_text("mine = 'set by the user'")
    monkeypatch.setenv("PYTHONSTARTUP", str(own))


def test_a_kernel_is_quiet(package, monkeypatch):
    folder = package(NOTICES[0], "unknown native line", NOTICES[3])
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # with it, a kernel leaves descriptor 2 alone
    first, *later = run_cells(
        "print('quiet')",
        "import tensorflow",
        # A kernel hands on what it finds on descriptor 2 with some delay.
        "import os, time; _ = os.write(2, b'a later line\\n'); time.sleep(0.5)",
    )
    assert printed(first, "stderr") == ""
    shown = "".join(printed(cell, "stderr") for cell in later)
    assert shown == "unknown native line\na later line\n"


def test_a_kernel_begins_with_no_name_and_no_path_of_ours(own_startup):
    lesson_kernels.prepare(os.environ, keep_own=False)
    (cell,) = run_cells("import sys; print([*dir()], [p for p in sys.path if 'tools' in p])")
    names, paths = printed(cell).split("] [")
    assert not {"_begin", "mine", "lesson_kernels", "Path", "os"} & set(eval(names + "]"))
    assert paths == "]\n"


def test_a_readers_own_start_up_file_runs_too(own_startup, monkeypatch):
    monkeypatch.delenv(lesson_kernels.OWN, raising=False)
    for _ in range(2):  # as in a kernel that is started from a kernel
        lesson_kernels.prepare(os.environ, keep_own=True)
    (cell,) = run_cells("print(mine)")
    assert printed(cell) == "set by the user\n"


def test_a_kernel_that_was_not_prepared_runs_the_same_code(package, monkeypatch):
    folder = package(NOTICES[0])
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delenv("PYTHONSTARTUP")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    (cell,) = run_cells("import tensorflow, time; time.sleep(0.5); print('imported')")
    assert printed(cell) == "imported\n"
    assert printed(cell, "stderr") == NOTICES[0] + "\n"


ERRORS = {
    "raise ValueError('no such tile\\nr00_c00')": ["ValueError: no such tile", "r00_c00"],
    "raise ValueError('x\\n' * 20)": ["ValueError: x", *["x"] * 11, "…"],
    "raise KeyError": ["KeyError: "],
}


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("tags", [["raises-exception"], ["starter"], None])
def test_an_error_that_a_lesson_expects_is_shown_as_it_is_stored(code, tags, kernel):
    """JupyterLab sends a cell's tags too; an error that nobody expects keeps its trace."""
    metadata = {} if tags is None else {"tags": tags}
    content = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": False}
    message = kernel.session.msg("execute_request", content, metadata=metadata)
    kernel.shell_channel.send(message)
    reply = kernel.get_shell_msg(timeout=60)["content"]
    assert reply["status"] == "error"
    shown = kernel.get_iopub_msg(timeout=60)
    while shown["msg_type"] != "error":
        shown = kernel.get_iopub_msg(timeout=60)
    traceback = shown["content"]["traceback"]
    if tags == ["raises-exception"]:
        assert traceback == ERRORS[code]
    else:
        assert "Traceback (most recent call last)" in traceback[1]
    assert reply["evalue"] == shown["content"]["evalue"]


@pytest.fixture(scope="module")
def kernel():
    """Start a kernel as `make lab` does, and return its client."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYTEST_CURRENT_TEST", "PYTHONSTARTUP", lesson_kernels.OWN):
            patch.delenv(name, raising=False)
        lesson_kernels.prepare(os.environ, keep_own=False)
        manager, client = start_new_kernel()
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_kernel_names_no_version(kernel):
    info = kernel.kernel_info(reply=True, timeout=60)["content"]["language_info"]
    assert info == lesson_kernels.LANGUAGE


def test_a_figure_has_an_alternative_text_and_no_notes():
    figure = "import matplotlib.pyplot as plt; plt.plot([1, 2]); _ = plt.title('It rises')"
    (shown,) = run_cells(figure)[0].outputs
    assert shown.metadata["image/png"].keys() == {"alt", "height", "width"}
    assert shown.metadata["image/png"]["alt"] == "It rises: lines."
    assert checks.sharpness(shown) == checks.SHARPNESS
    assert checks.png_notes(base64.b64decode(shown.data["image/png"])) == []


def test_tensorflow_itself():
    """The real import is quiet, and devices and threads can still be chosen after it."""
    code = """
        import lesson_kernels
        lesson_kernels.begin()
        import tensorflow as tf
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
