"""TensorFlow is imported without a word and without libraries that nothing here uses; errors go on to stderr."""

import os
import subprocess
import sys

import pytest


def said(code, **options):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_an_import_goes_well_without_stderr():
    assert said("import os; os.close(2)\nimport srnb\nimport keras\nprint(keras.ops.ones(3))") == ""


def test_a_program_that_does_not_ask_hears_the_greeting():
    assert "oneDNN" in said("import os; os.environ['TF_ENABLE_ONEDNN_OPTS'] = '1'; import tensorflow")


def test_errors_and_warnings_go_on(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\n"
        "os.write(2, b'I0000 00:00:1795720869.164244 1 port.cc:153] a greeting\\n')\n"
        "os.write(2, b'E0000 00:00:1795720869.164244 1 cuda.cc:1] no driver\\n')\n"
        "raise ImportError('broken')\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import srnb\n"
        "try:\n    import tensorflow\nexcept ImportError as error:\n    print(error, file=sys.stderr)"
    )
    assert said(code).splitlines() == ["E0000 00:00:1795720869.164244 1 cuda.cc:1] no driver", "broken"]


@pytest.mark.parametrize("framework", ["keras", "tensorflow"])
def test_an_import_is_silent_and_what_it_spares_can_be_imported_later(framework):
    words = said(
        f"import srnb, sys, {framework}\n"
        "assert 'keras' in sys.modules and 'tensorflow' in sys.modules\n"
        "assert not {'jax', 'sklearn'} & sys.modules.keys()\n"
        "import keras; print(keras.ops.ones(3))\n"
        "import jax, sklearn\n"
        "assert jax.jit and sklearn.__version__",
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    assert words == ""


def test_what_is_imported_before_stays():
    said("import sklearn, jax, srnb, keras, sys\nassert {'jax', 'sklearn'} <= sys.modules.keys()")


def test_jax_is_there_where_it_is_the_backend():
    said(
        "import srnb, keras, sys; assert 'jax' in sys.modules and keras.ops.ones(3).sum() == 3",
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
