"""The app's settings, and its place on the module path."""

import subprocess
import sys
import tomllib
from pathlib import Path

import deconvviz

PACKAGE = Path(deconvviz.__file__).parent
ROOT = PACKAGE.parent


def test_the_settings_keep_to_this_machine_and_show_no_traceback():
    settings = tomllib.loads((PACKAGE / ".streamlit" / "config.toml").read_text("utf-8"))
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["server"]["maxUploadSize"] == 20
    assert settings["client"]["showErrorDetails"] == "none"
    assert settings["browser"]["gatherUsageStats"] is False


def test_both_copies_of_the_settings_are_the_same():
    own = (PACKAGE / ".streamlit" / "config.toml").read_text("utf-8")
    root = ROOT / ".streamlit" / "config.toml"
    assert not root.exists() or root.read_text("utf-8") == own


def test_our_modules_shadow_nobody_elses():
    """`streamlit run` puts the script's folder first on the path; the app hides what is there."""
    program = (
        "import sys, importlib.util\n"
        f"sys.path.insert(0, {str(PACKAGE)!r})\n"
        "assert importlib.util.find_spec('models') is not None\n"
        f"source = open({str(PACKAGE / 'app.py')!r}).read().split('# isort: split')[0]\n"
        "exec(source)\n"
        "importlib.invalidate_caches()\n"
        "assert importlib.util.find_spec('models') is None\n"
        "import deconvviz.models, deconvviz.io.zoo\n"
        f"assert sys.path[0] == {str(PACKAGE)!r}  # else Streamlit changes the path under imports\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_the_first_picture_waits_for_no_module_that_it_does_not_need():
    """Together they take four seconds to import; each comes when it has something to do."""
    program = (
        "import sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(PACKAGE / 'app.py')!r}, default_timeout=120).run()\n"
        "assert not app.exception and app.get('bidi_component')\n"
        "slow = {'matplotlib', 'pandas', 'scipy', 'sympy', 'captum', 'timm', 'torchvision',\n"
        "        'torch._dynamo', 'torch.export._trace'}\n"
        "found = slow & set(sys.modules)\n"
        "sys.exit(str(found) if found else 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
