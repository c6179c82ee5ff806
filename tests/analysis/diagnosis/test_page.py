"""The page stands alone, and takes names as they are."""

import json


def test_the_page_holds_all_in_itself(diagnosis, tmp_path):
    numbers, _ = diagnosis.save(tmp_path)
    page = (tmp_path / "diagnosis.html").read_text("utf-8")
    assert "faulty &amp; &lt;odd&gt;" in page
    assert "<odd>" not in page
    assert page.count("<article>") == page.count("data:image/png") == len(diagnosis.found)
    assert "http" not in page.replace("http-equiv", "")
    told = json.loads(numbers.read_text())
    assert told["experiment"] == "diagnosis"
    assert len(told["layers"]) == 2
    assert {"kind", "told", "advice", "units"} <= set(told["findings"][0])
