"""Networks that a person opens from the page: by name, from a file, by a link; and their names."""

import re
import sys
import threading
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from streamlit.testing.v1 import AppTest

import deconvviz
from deconvviz.io.zoo import DEMOS
from deconvviz.io.zoo import download as downloading
from deconvviz.io.zoo.names import demo_folder
from deconvviz.ui import choices, fetching, networks, uploads
from tests.pages.conftest import all_words, fine, grid

SMALL = "torchvision/squeezenet1_1"
RANDOM = f"{SMALL}, untrained"
VIT = "torchvision/vit_b_16"


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """torchvision's folder of weights, empty; and nothing that could fetch any."""

    def fetched(*_args, **_kwargs):
        pytest.fail("something was fetched")

    monkeypatch.setattr(sys, "argv", ["app.py"])
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    for place, name in ((downloading, "urlopen"), (torch.hub, "download_url_to_file")):
        monkeypatch.setattr(place, name, fetched)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.fixture
def no_downloads(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py", "--no-downloads"])


def store_weights(folder):
    from torchvision.models import squeezenet1_1

    torch.manual_seed(3)
    torch.save(squeezenet1_1().state_dict(), folder / "squeezenet1_1-b8a52dc0.pth")


def dialog():
    """The picker and what is in the dialog; AppTest does not keep a dialog open."""

    def script():
        import streamlit as st

        from deconvviz.ui.networks import pick_network
        from deconvviz.ui.own_networks import ways

        pick_network()
        st.caption(f"chosen: {st.session_state['model']}")
        ways()

    return AppTest.from_function(script, default_timeout=240).run()


def choose(app, name, kind):
    app.selectbox(key="network-name").set_value(name).run()
    app.radio(key=f"network-weights-{name}").set_value(kind).run()
    return app.button(key="network-open").click().run()


def chosen(app):
    return app.selectbox(key="model").value


def upload(app, name, content):
    app.get("file_uploader")[0].set_value([(name, content, "application/octet-stream")])
    return app.run()


def demo_file(name="demo"):
    return (demo_folder() / f"{name}.safetensors").read_bytes()


def test_a_librarys_network_with_random_weights_is_chosen_by_its_name():
    app = fine(choose(dialog(), SMALL, "untrained"))
    assert chosen(app) == RANDOM
    assert f"chosen: {RANDOM}" in all_words(app)


def test_its_link_opens_it_with_the_warning_and_the_same_random_weights(open_page):
    app = fine(open_page("overview", model=RANDOM))
    assert "never trained" in app.warning[0].value
    assert "layers can be projected. Checked when it was opened: values equal" in all_words(app)
    torch.manual_seed(99)
    first = networks.network(SMALL, None).key
    networks.opened.clear()
    assert networks.network(SMALL, None).key == first


def test_weights_on_the_disk_are_opened_at_once_with_their_classes(open_page, hub):
    store_weights(hub)
    app = fine(open_page("workbench", model=SMALL))
    assert not app.warning
    assert "of 1000 classes" in grid(app)["answer"]["rest"]
    assert chosen(fine(choose(dialog(), SMALL, "trained"))) == SMALL


def test_a_link_does_not_download_but_a_button_does(open_page, hub, monkeypatch):
    app = fine(open_page("overview", model=SMALL))
    assert "(5 MB) are not on this server's disk" in app.info[0].value

    def fetch(name, progress):
        assert name == SMALL
        progress("Downloading", 1, 2)
        store_weights(hub)

    monkeypatch.setattr(fetching, "fetch", fetch)
    (button,) = [one for one in app.button if one.label == "Download 5 MB and open it"]
    button.click().run()
    assert "squeezenet1_1" in all_words(fine(app))


def test_a_download_that_fails_is_one_sentence_and_leaves_the_choice(monkeypatch):
    def offline(*_args, **_kwargs):
        raise URLError(OSError(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr(downloading, "urlopen", offline)
    app = choose(dialog(), SMALL, "trained")
    assert not app.exception
    assert chosen(app) == DEMOS[0]
    assert "no connection to their server (Temporary failure" in app.error[0].value


def test_two_sessions_that_want_the_same_weights_wait_for_one_download(hub, monkeypatch):
    calls = []

    def fetch(name, progress):
        calls.append(name)
        progress("Downloading", 1, 2)
        store_weights(hub)

    monkeypatch.setattr(fetching, "fetch", fetch)
    threads = [threading.Thread(target=fetching._download, args=(SMALL,)) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert calls == [SMALL]


def test_without_downloads_the_dialog_says_so_and_random_weights_open(no_downloads):
    app = dialog()
    app.selectbox(key="network-name").set_value(SMALL).run()
    kind = app.radio(key=f"network-weights-{SMALL}")
    assert kind.value == "untrained"
    assert "This server downloads nothing" in kind.proto.captions[0]
    kind.set_value("trained").run()
    assert app.button(key="network-open").disabled
    assert chosen(fine(choose(app, SMALL, "untrained"))) == RANDOM


def test_without_downloads_neither_a_link_nor_a_forged_click_downloads(open_page, no_downloads):
    app = fine(open_page("overview", model=SMALL))
    assert "This server downloads nothing" in app.info[0].value
    assert not [one for one in app.button if one.label.startswith("Download")]
    with pytest.raises(deconvviz.errors.SettingError, match="downloads nothing"):
        fetching._download(SMALL)


def test_without_downloads_weights_on_the_disk_are_opened(open_page, hub, no_downloads):
    store_weights(hub)
    assert "of 1000 classes" in grid(fine(open_page("workbench", model=SMALL)))["answer"]["rest"]


def test_a_network_above_the_bound_is_refused_with_the_words_to_type(open_page, monkeypatch):
    large = "torchvision/regnet_y_128gf"
    app = dialog()
    app.selectbox(key="network-name").set_value(large).run()
    assert f"deconvviz app {large} --download" in app.error[0].value
    assert not [one for one in app.button if one.key == "network-open"]
    app = open_page("overview", model=f"{large}, untrained")
    assert "million parameters" in app.error[0].value


@pytest.mark.parametrize("kind", ["trained", "untrained"])
def test_a_transformer_is_refused_before_its_download(kind):
    app = choose(dialog(), VIT, kind)
    assert "has no rectified convolution that can be projected" in app.error[0].value
    assert chosen(app) == DEMOS[0]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("torchvision/resnet19", "no network `resnet19`"),
        ("torchvision/resnet18, half", "there is no network"),
        ("mine.safetensors", "is not in this session"),
        ("<b>x</b>[y](http://z)", "there is no network"),
        ("`<b>x</b>`[y](http://z)`", "there is no network"),
    ],
)
def test_a_link_to_what_is_not_there_says_so_and_shows_the_first(open_page, label, words):
    app = fine(open_page("overview", model=label))
    assert words.lower() in app.warning[0].value.lower()
    outside = re.sub("`[^`]*`", "", app.warning[0].value).replace("\\<", "").replace("](", "")
    assert not set("<[") & set(outside.replace("\\[", ""))
    assert f"**{DEMOS[0]}**" in all_words(app)


def test_a_checkpoint_is_opened_shown_and_removed(open_page):
    app = fine(upload(dialog(), "../my run.safetensors", demo_file()))
    assert chosen(app) == "my run.safetensors"
    network = networks.opened(dict(app.session_state["networks-uploaded"])["my run.safetensors"])
    stored, demo = (one.bundle.model.state_dict() for one in (network, networks.network("demo")))
    assert all(torch.equal(stored[name], demo[name]) for name in demo)
    assert network.bundle.name == networks.UPLOADED
    app = fine(upload(app, "my run.safetensors", demo_file("demo-accurate")))
    assert chosen(app) == "my run (2).safetensors"
    assert len(upload(app, "again.safetensors", demo_file()).selectbox(key="model").options) == (
        len(DEMOS) + 2
    )
    app.button(key="network-remove-my run.safetensors").click().run()
    assert "my run.safetensors" not in fine(app).selectbox(key="model").options
    assert chosen(app) == DEMOS[0]


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{broken}", b"PK\3\4" + bytes(50)])
def test_a_broken_checkpoint_is_one_sentence_with_its_own_name(content):
    app = upload(dialog(), "mine.safetensors", content)
    assert not app.exception
    (error,) = app.error
    assert "mine.safetensors" in error.value
    assert "/tmp" not in error.value
    assert chosen(app) == DEMOS[0]
    (advice,) = app.info
    assert "“From a terminal”: `deconvviz app package.module:function --checkpoint" in advice.value
    assert "deconvviz app my_package.nets:make --checkpoint" in app.code[0].value


def test_another_session_never_sees_a_checkpoint():
    mine = fine(upload(dialog(), "secret.safetensors", demo_file()))
    assert "secret.safetensors" in mine.selectbox(key="model").options
    other = AppTest.from_function(lambda: None)
    other = dialog()
    assert "secret.safetensors" not in other.selectbox(key="model").options
    same = fine(upload(other, "b.safetensors", demo_file()))
    network = networks.opened(dict(same.session_state["networks-uploaded"])["b.safetensors"])
    assert "secret" not in repr(network.bundle.name) + network.bundle.card


def test_a_checkpoint_that_others_displace_is_told_once(monkeypatch):
    app = fine(upload(dialog(), "old.safetensors", demo_file()))
    monkeypatch.setattr(uploads, "SESSION_BYTES", len(demo_file()) + 10**5)
    fine(upload(dialog(), "new.safetensors", demo_file("demo-accurate")))
    assert chosen(app.run()) == DEMOS[0]
    (message,) = app.session_state["network-messages"]
    assert "`old.safetensors` is here no more" in message


def test_checkpoints_of_a_session_are_bounded():
    app = dialog()
    for number in range(6):
        content = demo_file(("demo", "demo-accurate")[number % 2])
        header = int.from_bytes(content[:8], "little")
        # spaces after the JSON of the header, which safetensors allows, for another digest
        start = (header + 8 * number).to_bytes(8, "little") + content[8 : 8 + header]
        padded = start + b" " * 8 * number + content[8 + header :]
        app = upload(app, f"{number}.safetensors", padded)
    kept = fine(app).session_state["networks-uploaded"]
    assert list(kept) == [f"{number}.safetensors" for number in range(2, 6)]
    assert kept.bytes > 2 * (len(demo_file()) + len(demo_file("demo-accurate")))


def test_two_sessions_open_a_network_once(monkeypatch):
    calls, load = [], networks.load
    monkeypatch.setattr(networks, "load", lambda *a, **k: calls.append(a) or load(*a, **k))
    networks.opened.clear()
    threads = [threading.Thread(target=networks.network, args=(SMALL, None)) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(calls) == 1


def test_networks_in_memory_are_bounded():
    import gc
    import weakref

    networks.opened.clear()
    alive = [weakref.ref(networks.network(name).bundle.model) for name in ("demo", "demo-deconv")]
    for name in ("demo-accurate", "demo-photos"):
        networks.network(name)
    networks.network("demo")  # used last of the first two
    networks.network(SMALL, None)
    gc.collect()
    assert [one() is not None for one in alive] == [True, False]


CODE = """
import torch
from torch import nn

def three():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
"""


@pytest.fixture
def three(tmp_path, monkeypatch):
    """A network of three outputs without names, named on the command line."""
    (tmp_path / "nets_of_three.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py", "nets_of_three:three"])
    return "nets_of_three:three"


def test_without_class_names_it_says_why_and_takes_some(open_page, three):
    app = fine(open_page("workbench", model=three))
    assert "without names of classes for its 3 outputs" in grid(app)["answer"]["lead"]
    app.text_area(key="class-names-text").set_value("cat\ndog").run()
    app.button(key="class-names-use").click().run()
    assert "2 names, and the network has 3 outputs" in app.error[0].value
    app.text_area(key="class-names-text").set_value("cat\n<b>**dog**\n[x](http://y)").run()
    app.button(key="class-names-use").click().run()
    given = [one["name"] for one in grid(fine(app))["answer"]["classes"]]
    assert sorted(given) == sorted(["cat", "<b>**dog**", "[x](http://y)"])
    assert "<b>" not in all_words(app)
    assert "of 3 classes" in grid(app)["answer"]["rest"]
    other = fine(open_page("workbench", model=three))
    assert not grid(other)["answer"]["classes"]
    app.button(key="class-names-forget").click().run()
    assert not grid(fine(app))["answer"]["classes"]


def test_class_names_come_from_a_file_too(open_page, three):
    app = open_page("workbench", model=three)
    (uploader,) = [one for one in app.get("file_uploader") if one.label == "Or a text file"]
    uploader.set_value([("names.json", b'["a", "b", "c"]', "text/plain")])
    app.run()
    assert len(grid(fine(app))["answer"]["classes"]) == 3


def test_the_command_line_says_what_a_plain_name_means(monkeypatch):
    assert choices.library_label(SMALL, trained=True) == SMALL
    monkeypatch.setattr("sys.argv", ["app.py", SMALL, "--weights=none"])
    assert choices.offered()[SMALL] == choices.Choice(SMALL, None)
    assert choices.library_label(SMALL, trained=False) == SMALL
    label = choices.library_label(SMALL, trained=True)
    assert choices.library_choice(label).weights == "default"


def test_the_button_is_below_the_picker():
    app = AppTest.from_file(str(Path(deconvviz.__file__).parent / "app.py"), default_timeout=240)
    app.session_state["model"] = "demo"
    app.run()
    assert [one.label for one in app.sidebar.button] == ["Use another network"]
