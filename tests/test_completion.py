"""What a shell completes our commands with, and where its script is put."""

import pytest

from tileconv import completion


@pytest.mark.parametrize(
    ("typed", "found"), [("ver", "verify"), ("ops lapl", "laplacian_of_gaussian"), ("sample hub", "hubble")]
)
def test_the_shell_completes(call, monkeypatch, typed, found):
    monkeypatch.setenv("_TILECONV_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"tileconv {typed}")
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split())))
    assert f"plain,{found}" in call()[1].split()


@pytest.mark.parametrize("shell", list(completion.PLACES))
def test_a_shell_is_taught_once_to_complete(call, monkeypatch, tmp_path, shell):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    script = call("--show-completion")[1]
    assert "_TILECONV_COMPLETE" in script
    place, start, line = completion.PLACES[shell]
    if start:
        (tmp_path / start).write_text("alias l=ls")
    for _ in range(2):
        code, out, err = call("--install-completion")
        assert (code, err) == (0, "")
        assert str(tmp_path / place) in out
    assert (tmp_path / place).read_text() + "\n" == script
    if start:
        assert (tmp_path / start).read_text() == f"alias l=ls\n{line}\n"


@pytest.mark.parametrize("shell", ["", "/bin/dash"])
def test_other_shells_are_refused(call, monkeypatch, shell):
    monkeypatch.setenv("SHELL", shell)
    code, out, err = call("--install-completion")
    assert (code, out) == (2, "")
    assert "expected one of bash, fish, zsh" in err


def test_a_home_that_cannot_be_written_is_named(call, monkeypatch, tmp_path):
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHELL", "/bin/fish")
    code, _, err = call("--install-completion")
    assert code == 1
    assert "cannot be written" in err
