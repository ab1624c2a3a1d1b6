"""What a shell completes our commands with: its script, printed, or put where the shell reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from tileconv.printing import fail, print_, refuse

PLACES = {
    "bash": (".bash_completions/tileconv.sh", ".bashrc", "source ~/.bash_completions/tileconv.sh"),
    "fish": (".config/fish/completions/tileconv.fish", "", ""),
    "zsh": (".zfunc/_tileconv", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
}
"""By shell where its script lies in a home, and the line of which file has it read."""


def _script(context: click.Context) -> tuple[str, str]:
    """Return which shell is used here, and its script."""
    from click.shell_completion import get_completion_class

    shell = Path(os.environ.get("SHELL", "")).name
    kind = get_completion_class(shell)
    if kind is None or shell not in PLACES:
        refuse(f"expected one of {', '.join(PLACES)} as the shell, found {shell or 'no SHELL in the environment'}")
    return shell, kind(context.command, {}, "tileconv", "_TILECONV_COMPLETE").source()


def _show(context: click.Context, _: click.Parameter, asked: Any) -> None:
    if asked:
        print_(_script(context)[1])
        raise SystemExit


def _install(context: click.Context, _: click.Parameter, asked: Any) -> None:
    if not asked:
        return
    shell, script = _script(context)
    place, start, line = PLACES[shell]
    path = Path.home() / place
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
        if start and line not in ((Path.home() / start).read_text("utf-8") if (Path.home() / start).exists() else ""):
            with (Path.home() / start).open("a", encoding="utf-8") as file:
                file.write(f"\n{line}\n")
    except OSError as error:
        fail(f"error: {error.filename} cannot be written: {error.strerror}")
    print_(f"{shell} completes tileconv in shells that are opened from now on: {path}")
    raise SystemExit


_flag: dict[str, Any] = {"is_flag": True, "is_eager": True, "expose_value": False}
install = click.option("--install-completion", **_flag, callback=_install, help="Teach the current shell to complete.")
show = click.option("--show-completion", **_flag, callback=_show, help="Print what teaches it.")
