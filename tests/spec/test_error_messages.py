"""Every file of tests/errors holds one mistake (``several_*`` more); the text beside it is the exact message.

After a change of wording on purpose: ``TILECONV_WRITE_MESSAGES=1 pytest tests/spec/test_error_messages.py``, then read
the difference before committing it.
"""

import os
from pathlib import Path

import pytest

from tileconv.errors import SpecError
from tileconv.spec import load_spec

FOLDER = Path(__file__).parents[1] / "errors"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_message_is_exact(path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(path, environ={})
    message = str(caught.value).replace(f"{FOLDER}{os.sep}", "") + "\n"
    expected = path.with_suffix(".txt")
    if os.environ.get("TILECONV_WRITE_MESSAGES"):
        expected.write_text(message, encoding="utf-8")
    assert message == expected.read_text(encoding="utf-8")
    if not path.stem.startswith("several"):
        assert len(caught.value.problems) == 1


def test_every_message_has_its_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in FILES}
    assert len(FILES) >= 45
